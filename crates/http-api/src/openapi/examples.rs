//! Examples of bodies in the OpenAPI description.

use serde_json::{Value, json};

const ID: &str = "019ab120-3c41-7be2-8a5f-6d09e4c7b218";
pub const PROJETO: &str = "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1";
const OUTRO_PROJETO: &str = "4f2c1a0b-9d3e-4b7f-8c65-2e1d0a9b8c7d";
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

pub fn projeto_azure() -> Value {
    json!({
        "id": PROJETO, "name": "Portal", "state": "wellFormed", "revision": 411, "visibility": "private",
        "url": format!("https://dev.azure.com/exemplo/_apis/projects/{PROJETO}"),
    })
}

pub fn sincronizacao() -> Value {
    json!({
        "status": "success", "message": "250 projetos sincronizados: novos 3, alterados 1, removidos 0",
        "projects_synced": 250, "projects_created": 3, "projects_updated": 1, "projects_removed": 0, "timestamp": EM,
        "total_azure": 250, "synced": 250, "created": 3, "updated": 1,
    })
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
