//! Examples of bodies in the OpenAPI description.

use serde_json::{Value, json};

const ID: &str = "019ab120-3c41-7be2-8a5f-6d09e4c7b218";
pub const PROJETO: &str = "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1";
const OUTRO_PROJETO: &str = "4f2c1a0b-9d3e-4b7f-8c65-2e1d0a9b8c7d";
const TIME: &str = "d87ab94d-29d0-575a-b835-ec46f9fa77ed";
const ITERACAO: &str = "48d24750-6492-5802-b000-64173dcd4b6b";
pub const EM: &str = "2026-01-12T16:00:00.123456Z";

pub fn atividade() -> Value {
    json!({
        "id": ID, "nome": "Revisar contrato", "descricao": "Com o jurídico", "ativo": true, "id_projeto": PROJETO,
        "nome_projeto": "Portal", "criado_por": "ana.lima@exemplo.com.br", "criado_em": EM, "atualizado_em": EM,
        "projetos": [{"id": PROJETO, "nome": "Portal"}, {"id": OUTRO_PROJETO, "nome": "Aplicativo"}],
    })
}

pub fn projeto_da_atividade() -> Value {
    json!({"id": PROJETO, "nome": "Portal"})
}

pub fn atividade_csv() -> Value {
    let mut row = atividade();
    row.as_object_mut().and_then(|row| row.insert("projetos".to_owned(), "Portal|Aplicativo".into()));
    row
}

pub fn criar_atividade() -> Value {
    json!({"nome": "Revisar contrato", "descricao": "Com o jurídico", "ids_projetos": [PROJETO, OUTRO_PROJETO]})
}

pub fn atualizar_atividade() -> Value {
    json!({"descricao": null, "ativo": false})
}

pub fn criar_lote() -> Value {
    json!({"items": [criar_atividade(), {"nome": "Testar a integração", "id_projeto": PROJETO}]})
}

pub fn lote_criado() -> Value {
    json!({"items": [atividade()], "total": 1})
}

pub fn lista_atividades() -> Value {
    json!({"items": [atividade()], "total": 1})
}

fn apontamento_com(avisos: Option<Value>) -> Value {
    let mut apontamento = json!({
        "id": ID, "work_item_id": 41, "project_id": PROJETO, "organization_name": "exemplo",
        "data_apontamento": "2026-01-12", "duracao": "01:30", "duracao_horas": 1.5, "minutos": 90, "id_atividade": ID,
        "atividade": atividade_do_apontamento(), "comentario": "Com o cliente", "usuario_id": PROJETO,
        "usuario_nome": "Ana Lima", "usuario_email": "ana.lima@exemplo.com.br", "criado_em": EM, "atualizado_em": EM,
        "work_item": work_item_do_apontamento(), "sincronizacao": "desligada",
    });
    if let (Some(avisos), Some(apontamento)) = (avisos, apontamento.as_object_mut()) {
        apontamento.insert("avisos".to_owned(), avisos);
    }
    apontamento
}

pub fn apontamento() -> Value {
    apontamento_com(None)
}

pub fn apontamento_gravado() -> Value {
    apontamento_com(Some(json!([])))
}

pub fn atividade_do_apontamento() -> Value {
    json!({"id": ID, "nome": "Revisar contrato"})
}

pub fn work_item_do_apontamento() -> Value {
    json!({"titulo": "Tela de pedidos", "tipo": "Task"})
}

pub fn criar_apontamento() -> Value {
    json!({
        "work_item_id": 41, "duracao": "01:30", "data_apontamento": "2026-01-12", "comentario": "Com o cliente",
        "id_atividade": ID, "organization_name": "exemplo", "project_id": PROJETO,
    })
}

pub fn criar_apontamentos() -> Value {
    json!({"items": [criar_apontamento()]})
}

pub fn atualizar_apontamento() -> Value {
    json!({"duracao": "02:00", "comentario": null})
}

pub fn apontamentos_criados() -> Value {
    json!({"items": [apontamento()], "total": 1, "avisos": []})
}

pub fn lista_apontamentos() -> Value {
    json!({"items": [apontamento()], "proximo": null, "total": 1, "total_minutos": 90})
}

pub fn apontamentos_do_work_item() -> Value {
    json!({"items": [apontamento()], "total": 1, "total_horas": 1.5, "total_formatado": "01:30"})
}

pub fn apontamento_csv() -> Value {
    json!({
        "data": "2026-01-12", "duracao": "01:30", "horas": "1.50", "minutos": 90, "usuario": "Ana Lima",
        "email": "ana.lima@exemplo.com.br", "projeto": "Portal", "atividade": "Revisar contrato", "work_item_id": 41,
        "work_item": "Tela de pedidos", "comentario": "Com o cliente", "id": ID,
    })
}

pub fn horas_da_atividade() -> Value {
    json!({"id": ID, "nome": "Revisar contrato", "total_horas": 1.5})
}

pub fn horas_do_usuario() -> Value {
    json!({"id": PROJETO, "nome": "Ana Lima", "total_horas": 1.5})
}

pub fn resumo_do_work_item() -> Value {
    json!({
        "work_item_id": 41, "total_apontamentos": 1, "total_horas": 1.5, "total_formatado": "01:30",
        "media_horas_por_apontamento": 1.5, "primeira_data": "2026-01-12", "ultima_data": "2026-01-12",
        "por_atividade": [horas_da_atividade()], "por_usuario": [horas_do_usuario()],
    })
}

pub fn horas_do_azure() -> Value {
    json!({"originalEstimate": 8.0, "remainingWork": 5.5, "completedWork": 2.5})
}

pub fn usuario() -> Value {
    json!({
        "id": PROJETO, "displayName": "Ana Lima", "emailAddress": "ana.lima@exemplo.com.br", "avatarUrl": null,
    })
}

pub fn chave_com_uuid() -> Value {
    json!({"id": PROJETO, "nome": "Portal"})
}

pub fn chave_com_texto() -> Value {
    json!({"id": "2026-01", "nome": "janeiro de 2026"})
}

pub fn chave_com_numero() -> Value {
    json!({"id": 41, "nome": "Tela de pedidos"})
}

pub fn linha_de_horas() -> Value {
    json!({
        "projeto": chave_com_uuid(), "mes": chave_com_texto(), "minutos": 90, "total_formatado": "01:30",
        "apontamentos": 1,
    })
}

pub fn relatorio() -> Value {
    json!({"linhas": [linha_de_horas()], "total_minutos": 90, "total_formatado": "01:30"})
}

pub fn projeto_azure() -> Value {
    json!({
        "id": PROJETO, "name": "Portal", "state": "wellFormed", "revision": 411, "visibility": "private",
        "url": format!("https://dev.azure.com/exemplo/_apis/projects/{PROJETO}"),
    })
}

pub fn work_item_encontrado() -> Value {
    json!({
        "id": 104, "title": "Desenvolver tela de pedidos", "type": "Task", "project": "Portal",
        "url": "https://dev.azure.com/exemplo/_workitems/edit/104", "iconUrl": "", "originalEstimate": 16.0,
        "completedWork": 6.0, "remainingWork": 10.0, "state": "Active",
    })
}

pub fn work_items_encontrados() -> Value {
    json!({"results": [work_item_encontrado()], "count": 1})
}

pub fn time_do_projeto() -> Value {
    json!({
        "id": TIME, "name": "Time Portal", "description": "", "identity_url": "", "project_id": PROJETO,
        "project_name": "Portal", "url": format!("https://dev.azure.com/exemplo/_apis/projects/{PROJETO}/teams/{TIME}"),
    })
}

pub fn times_do_projeto() -> Value {
    json!({
        "count": 1, "teams": [time_do_projeto()], "mine_only": false, "is_admin": false, "default_team_id": TIME,
    })
}

pub fn datas_da_iteracao() -> Value {
    json!({"startDate": "2026-01-05T00:00:00", "finishDate": "2026-01-18T00:00:00", "timeFrame": "current"})
}

pub fn iteracao_do_time() -> Value {
    json!({
        "id": ITERACAO, "name": "Sprint 12", "path": "Portal\\Sprint 12", "attributes": datas_da_iteracao(),
        "url": format!("https://dev.azure.com/exemplo/{PROJETO}/_apis/work/teamsettings/iterations/{ITERACAO}"),
    })
}

pub fn iteracoes_do_time() -> Value {
    json!({"count": 1, "iterations": [iteracao_do_time()], "current_iteration_id": ITERACAO})
}

pub fn work_items_da_iteracao() -> Value {
    json!({"iteration_id": ITERACAO, "iteration_name": "Sprint 12", "work_item_ids": [104, 105], "count": 2})
}

pub fn apontamento_do_dia() -> Value {
    json!({
        "id": ID, "duracao": "01:30", "duracao_horas": 1.5, "id_atividade": ID, "atividade_nome": "Revisar contrato",
        "comentario": "Com o cliente",
    })
}

pub fn dia_do_work_item() -> Value {
    json!({
        "data": "2026-01-12", "dia_semana": "seg", "dia_numero": 12, "total_horas": 1.5, "total_formatado": "01:30",
        "apontamentos": [apontamento_do_dia()], "eh_hoje": true, "eh_fim_semana": false,
    })
}

pub fn total_do_dia() -> Value {
    json!({
        "data": "2026-01-12", "dia_semana": "seg", "dia_numero": 12, "total_horas": 1.5, "total_formatado": "01:30",
        "eh_hoje": true,
    })
}

pub fn work_item_do_timesheet() -> Value {
    json!({
        "id": 104, "title": "Desenvolver tela de pedidos", "type": "Task", "state": "Active",
        "state_category": "InProgress", "icon_url": "", "assigned_to": "Ana Lima", "original_estimate": 16.0,
        "completed_work": 6.0, "remaining_work": 10.0, "total_semana_horas": 1.5, "total_semana_formatado": "01:30",
        "nivel": 0, "parent_id": null, "children": [], "pode_editar": true, "pode_excluir": true,
        "dias": [dia_do_work_item()],
    })
}

pub fn timesheet() -> Value {
    json!({
        "semana_inicio": "2026-01-12", "semana_fim": "2026-01-18", "semana_label": "12/01 - 18/01",
        "work_items": [work_item_do_timesheet()], "total_geral_horas": 1.5, "total_geral_formatado": "01:30",
        "totais_por_dia": [total_do_dia()], "total_work_items": 1, "total_esforco": 16.0, "total_historico": 6.0,
        "avisos": [],
    })
}

pub fn sincronizacao() -> Value {
    json!({
        "status": "success", "message": "250 projetos sincronizados: novos 3, alterados 1, removidos 0",
        "projects_synced": 250, "projects_created": 3, "projects_updated": 1, "projects_removed": 0,
        "projects_failed": 0, "projects_failed_ids": [], "projects_unconfirmed": 0, "timestamp": EM,
        "total_azure": 250, "synced": 250, "created": 3, "updated": 1,
    })
}

pub fn reenvio() -> Value {
    json!({"work_items": 3})
}

pub fn saude() -> Value {
    json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION"), "environment": "production"})
}

pub fn informacoes() -> Value {
    json!({"name": "API Aponta", "version": env!("CARGO_PKG_VERSION"), "docs": "/docs", "redoc": "/redoc"})
}

pub fn erro() -> Value {
    json!({"detail": "Erro interno", "message": "Erro interno"})
}

pub fn erro_de_validacao() -> Value {
    json!({
        "detail": [{"type": "missing", "loc": ["body", "nome"], "msg": "Campo obrigatório"}],
        "message": "nome: Campo obrigatório",
    })
}

pub fn problema() -> Value {
    json!({
        "type": "about:blank", "title": "Erro interno", "status": 500, "detail": "Erro interno",
        "instance": "/api/v1/atividades",
    })
}
