/** The whole of the client, against a running service: node build/journey.js BASE_URL TOKEN */

import assert from "node:assert/strict";
import { ApiAponta, ErroDaApi } from "./client.js";

const [base, token] = process.argv.slice(2);
assert(base !== undefined && token !== undefined, "usage: journey.js BASE_URL TOKEN");
const api = new ApiAponta(base, token);

const sincronizacao = await api.sincronizar();
assert.equal(sincronizacao.status, "success");
const projetos = await api.listarProjetos();
assert.equal(projetos.length, sincronizacao.projects_synced);
const projeto = projetos[0];
assert(projeto !== undefined);
assert.equal(projeto.estado, "wellFormed");

const criada = await api.criarAtividade({ nome: "Revisar contrato", id_projeto: projeto.id }, "chave-1");
assert.deepEqual(await api.criarAtividade({ nome: "Revisar contrato", id_projeto: projeto.id }, "chave-1"), criada);
assert.equal(criada.nome_projeto, projeto.nome);
assert.equal(criada.ativo, true);
assert.deepEqual(await api.obterAtividade(criada.id), criada);

const mudada = await api.atualizarAtividade(criada.id, { descricao: "Com o jurídico", ativo: false });
assert.equal(mudada.nome, criada.nome);
assert.equal(mudada.descricao, "Com o jurídico");

const outro = projetos[1];
assert(outro !== undefined);
const ids_projetos = [outro.id, projeto.id];
const comum = await api.criarAtividade({ nome: "Reunião", ids_projetos });
assert.deepEqual(comum.projetos, [outro, projeto].map(({ id, nome }) => ({ id, nome })));
assert.deepEqual([comum.id_projeto, comum.nome_projeto], [outro.id, outro.nome]);
for (const { id } of [outro, projeto]) {
  const doProjeto = await api.listarAtividades({ id_projeto: id });
  assert(doProjeto.items.some((atividade) => atividade.id === comum.id));
}
const restrita = await api.atualizarAtividade(comum.id, { id_projeto: projeto.id });
assert.deepEqual(restrita.projetos, [{ id: projeto.id, nome: projeto.nome }]);
await api.excluirAtividade(comum.id);

const lote = await api.criarAtividades(["A", "B", "C"].map((nome) => ({ nome, id_projeto: projeto.id })));
assert.deepEqual(lote.items.map((atividade) => atividade.nome), ["A", "B", "C"]);
const lista = await api.listarAtividades({ ativo: true, ordem: "nome", limit: 2 });
assert.deepEqual(lista.items.map((atividade) => atividade.nome), ["A", "B"]);
assert.equal(lista.total, 3);

await api.excluirAtividade(criada.id);
await assert.rejects(api.obterAtividade(criada.id), (erro) => {
  assert(erro instanceof ErroDaApi);
  assert.equal(erro.status, 404);
  return erro.message === `Atividade com ID ${criada.id} não encontrada`;
});
await assert.rejects(api.criarProjeto({ nome: " " }), /^Error: nome: Deve ter no mínimo 1 caractere$/);

assert.match((await api.obterUsuario()).id, /^[0-9a-f-]{36}$/);
const novo = (data_apontamento: string, duracao: string) => ({
  work_item_id: 41,
  duracao,
  data_apontamento,
  id_atividade: lote.items[0]!.id,
  organization_name: "exemplo",
  project_id: projeto.id,
});
const apontado = await api.criarApontamento(novo("2026-11-23", "7:30"), "chave-2");
assert.deepEqual(apontado.avisos, []);
assert.equal(apontado.work_item?.titulo, "Tela de pedidos");
assert.equal((await api.criarApontamento(novo("2026-11-23", "7:30"), "chave-2")).id, apontado.id);
const semana = await api.criarApontamentos([novo("2026-11-24", "8:00"), novo("2026-11-25", "08:00")]);
assert.equal(semana.total, 2);
assert.equal((await api.atualizarApontamento(apontado.id, { duracao: "8:00" })).minutos, 480);
assert.equal((await api.obterApontamento(apontado.id)).duracao, "08:00");
const apontamentos = await api.listarApontamentos({ usuario: "eu", limit: 2, total: true });
assert.equal(apontamentos.items.length, 2);
assert.equal(apontamentos.total_minutos, 1440);
assert.notEqual(apontamentos.proximo, null);
const horas = await api.somarHoras({ de: "2026-11-01", ate: "2026-11-30", agrupar: "projeto,semana" });
assert.equal(horas.linhas[0]?.semana?.id, "2026-W48");
assert.equal(horas.total_formatado, "24:00");
await assert.rejects(api.criarApontamento(novo("2026-11-23", "16:01")), /restam 16:00$/);
await api.excluirApontamento(apontado.id);

const onde = { organization_name: "exemplo", project_id: projeto.id };
const vista = await api.obterTimesheet({ ...onde, week_start: "2026-11-25", flat_view: true });
assert.equal(vista.total_geral_formatado, "16:00");
assert.deepEqual(vista.work_items.map((item) => [item.id, item.total_semana_horas, item.pode_editar]), [[41, 16, true]]);
assert.equal(vista.work_items[0]?.dias[1]?.apontamentos[0]?.duracao, "08:00");
assert.equal((await api.buscarWorkItems({ organization_name: "exemplo", query: "pedidos" })).results[0]?.id, 41);
const times = await api.listarTimes(onde);
assert.equal(times.default_team_id, times.teams[0]?.id);
const iteracoes = await api.listarIteracoes({ ...onde, team_id: times.teams[0]!.id });
assert.equal(iteracoes.iterations[0]?.attributes.startDate, "2026-11-16T00:00:00");
const daIteracao = await api.listarWorkItemsDaIteracao(iteracoes.current_iteration_id!, onde);
assert.deepEqual(daIteracao.work_item_ids, [42]);
await assert.rejects(api.listarIteracoes({ ...onde, team_id: projeto.id }), /^Error: Time não encontrado: /);

const estranho = new ApiAponta(base, "lixo");
await assert.rejects(estranho.listarProjetos(), /Token inválido ou expirado/);
