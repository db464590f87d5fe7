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

const estranho = new ApiAponta(base, "lixo");
await assert.rejects(estranho.listarProjetos(), /Token inválido ou expirado/);
