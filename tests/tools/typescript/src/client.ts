/** A client of API Aponta over fetch. Its types are generated from the description of the API. */

import type { components, operations } from "./api.js";

type Schemas = components["schemas"];
export type Atividade = Schemas["Atividade"];
export type Projeto = Schemas["Projeto"];
export type Apontamento = Schemas["Apontamento"];
export type FiltrosDeApontamentos = NonNullable<operations["listar_apontamentos"]["parameters"]["query"]>;
export type ParametrosDoRelatorio = operations["relatorio_de_horas"]["parameters"]["query"];
export type ParametrosDoTimesheet = operations["obter_timesheet"]["parameters"]["query"];
export type ParametrosDoTime = operations["listar_iteracoes"]["parameters"]["query"];
export type ParametrosDaBusca = operations["buscar_work_items"]["parameters"]["query"];
export type Filtros = NonNullable<operations["listar_atividades"]["parameters"]["query"]>;

/** The error that the API returned instead of the requested data. */
export class ErroDaApi extends Error {
  constructor(
    readonly status: number,
    readonly corpo: Schemas["Erro"] | Schemas["ErroDeValidacao"],
  ) {
    super(corpo.message);
  }
}

export class ApiAponta {
  /**
   * @param base Where the API is, for example `https://aponta.exemplo.com.br`.
   * @param token A token of Azure DevOps.
   */
  constructor(
    private readonly base: string,
    private readonly token: string,
  ) {}

  listarAtividades(filtros: Filtros = {}): Promise<Schemas["ListaAtividades"]> {
    const query = new URLSearchParams(Object.entries(filtros).map(([nome, valor]) => [nome, String(valor)]));
    return this.pedir("GET", `/atividades?${query}`);
  }

  obterAtividade(id: string): Promise<Atividade> {
    return this.pedir("GET", `/atividades/${id}`);
  }

  /** Sent again after a failure of the network, it creates nothing twice. */
  criarAtividade(atividade: Schemas["CriarAtividade"], chave: string = crypto.randomUUID()): Promise<Atividade> {
    return this.pedir("POST", "/atividades", atividade, { "Idempotency-Key": chave });
  }

  criarAtividades(items: Schemas["CriarAtividade"][]): Promise<Schemas["LoteCriado"]> {
    return this.pedir("POST", "/atividades/lote", { items });
  }

  atualizarAtividade(id: string, mudanca: Schemas["AtualizarAtividade"]): Promise<Atividade> {
    return this.pedir("PUT", `/atividades/${id}`, mudanca);
  }

  excluirAtividade(id: string): Promise<void> {
    return this.pedir("DELETE", `/atividades/${id}`);
  }

  obterUsuario(): Promise<Schemas["Usuario"]> {
    return this.pedir("GET", "/user");
  }

  /** Sent again after a failure of the network, it books nothing twice. */
  criarApontamento(
    apontamento: Schemas["CriarApontamento"],
    chave: string = crypto.randomUUID(),
  ): Promise<Schemas["ApontamentoGravado"]> {
    return this.pedir("POST", "/apontamentos", apontamento, { "Idempotency-Key": chave });
  }

  criarApontamentos(items: Schemas["CriarApontamento"][]): Promise<Schemas["ApontamentosCriados"]> {
    return this.pedir("POST", "/apontamentos/lote", { items });
  }

  listarApontamentos(filtros: FiltrosDeApontamentos = {}): Promise<Schemas["ListaApontamentos"]> {
    const query = new URLSearchParams(Object.entries(filtros).map(([nome, valor]) => [nome, String(valor)]));
    return this.pedir("GET", `/apontamentos?${query}`);
  }

  obterApontamento(id: string): Promise<Apontamento> {
    return this.pedir("GET", `/apontamentos/${id}`);
  }

  atualizarApontamento(
    id: string,
    mudanca: Schemas["AtualizarApontamento"],
  ): Promise<Schemas["ApontamentoGravado"]> {
    return this.pedir("PUT", `/apontamentos/${id}`, mudanca);
  }

  excluirApontamento(id: string): Promise<void> {
    return this.pedir("DELETE", `/apontamentos/${id}`);
  }

  somarHoras(parametros: ParametrosDoRelatorio): Promise<Schemas["Relatorio"]> {
    const query = new URLSearchParams(Object.entries(parametros).map(([nome, valor]) => [nome, String(valor)]));
    return this.pedir("GET", `/relatorios/horas?${query}`);
  }

  obterTimesheet(parametros: ParametrosDoTimesheet): Promise<Schemas["Timesheet"]> {
    const query = new URLSearchParams(Object.entries(parametros).map(([nome, valor]) => [nome, String(valor)]));
    return this.pedir("GET", `/timesheet?${query}`);
  }

  buscarWorkItems(parametros: ParametrosDaBusca): Promise<Schemas["WorkItemsEncontrados"]> {
    const query = new URLSearchParams(Object.entries(parametros).map(([nome, valor]) => [nome, String(valor)]));
    return this.pedir("GET", `/work-items/search?${query}`);
  }

  listarTimes(parametros: ParametrosDoTime): Promise<Schemas["TimesDoProjeto"]> {
    return this.pedir("GET", `/teams?${new URLSearchParams(parametros)}`);
  }

  listarIteracoes(parametros: ParametrosDoTime): Promise<Schemas["IteracoesDoTime"]> {
    return this.pedir("GET", `/iterations?${new URLSearchParams(parametros)}`);
  }

  listarWorkItemsDaIteracao(id: string, parametros: ParametrosDoTime): Promise<Schemas["WorkItemsDaIteracao"]> {
    return this.pedir("GET", `/iterations/${id}/work-items?${new URLSearchParams(parametros)}`);
  }

  listarProjetos(): Promise<Projeto[]> {
    return this.pedir("GET", "/projetos");
  }

  criarProjeto(projeto: Schemas["CriarProjeto"]): Promise<Projeto> {
    return this.pedir("POST", "/projetos", projeto);
  }

  sincronizar(): Promise<Schemas["Sincronizacao"]> {
    return this.pedir("POST", "/integracao/sincronizar");
  }

  private async pedir<T>(method: string, path: string, corpo?: object, outros?: Record<string, string>): Promise<T> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}`, ...outros };
    const init: RequestInit = { method, headers };
    if (corpo !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(corpo);
    }
    const resposta = await fetch(`${this.base}/api/v1${path}`, init);
    const texto = await resposta.text();
    const json = texto === "" ? undefined : JSON.parse(texto);
    if (!resposta.ok) {
      throw new ErroDaApi(resposta.status, json);
    }
    return json;
  }
}
