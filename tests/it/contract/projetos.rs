//! Projetos that exist only here, and those of Azure DevOps.

use e2e::server::Aponta;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/projetos";
const DO_AZURE: &str = "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1";

/// A projeto that Azure DevOps owns.
fn insert_synchronised_projeto(aponta: &Aponta) {
    aponta.database.execute(&format!(
        "INSERT INTO api_aponta.projetos (id, azure_project_id, nome, estado, sincronizado_em, criado_em, atualizado_em)
         VALUES ('{DO_AZURE}', '{DO_AZURE}', 'Do Azure', 'wellFormed', now(), now(), now())"
    ));
}

fn path(projeto: &Value) -> String {
    format!("{PATH}/{}", projeto["id"].as_str().unwrap())
}

#[tokio::test]
async fn projeto_is_created_read_changed_and_deleted() {
    let Aponta { api, .. } = &Aponta::start();

    let response = api.post(PATH, &json!({"nome": " Portal ", "descricao": "Texto"})).await;
    let projeto = response.expect(201);
    let path = path(&projeto);
    assert_eq!(response.header("location"), Some(path.as_str()));
    assert_eq!(api.get(&path).await.expect(200), projeto);
    assert_eq!(api.get(PATH).await.expect(200), json!([projeto]));
    for (old, new) in [
        ("external_id", "azure_project_id"),
        ("last_sync_at", "sincronizado_em"),
        ("created_at", "criado_em"),
        ("updated_at", "atualizado_em"),
    ] {
        assert_eq!(projeto[old], projeto[new]);
    }
    assert_eq!(projeto.as_object().unwrap().len(), 13);
    assert_eq!((&projeto["nome"], &projeto["azure_project_id"]), (&json!("Portal"), &Value::Null));

    assert_eq!(api.put(&path, &json!({})).await.expect(200), projeto);
    let changed = api.put(&path, &json!({"nome": "Novo", "descricao": null})).await.expect(200);
    assert_eq!((&changed["nome"], &changed["descricao"]), (&json!("Novo"), &Value::Null));
    assert_eq!(api.delete(&path).await.status, 204);
    let detail = format!("Projeto com ID {} não encontrado", projeto["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.error(404), detail);
    assert_eq!(api.delete(&path).await.error(404), detail);
}

#[tokio::test]
async fn list_is_sorted_by_name_ignoring_case_and_accents() {
    let Aponta { api, .. } = &Aponta::start();
    for nome in ["Zebra", "Éden", "abacaxi", "Ábaco", "eden"] {
        api.projeto(nome).await;
    }

    let listed = api.get(PATH).await.expect(200);

    let names: Vec<_> = listed.as_array().unwrap().iter().map(|projeto| projeto["nome"].as_str().unwrap()).collect();
    assert_eq!(names, ["abacaxi", "Ábaco", "eden", "Éden", "Zebra"]);
}

#[tokio::test]
async fn synchronised_projeto_is_read_only_and_used_one_is_kept() {
    let aponta = Aponta::start();
    insert_synchronised_projeto(&aponta);
    let api = &aponta.api;
    let do_azure = format!("{PATH}/{DO_AZURE}");
    let usado = api.projeto("Usado").await;
    let atividade = api.atividade("A", &usado).await;
    api.atividade("B", DO_AZURE).await;

    let read_only = "O projeto pertence ao Azure DevOps e não pode ser alterado aqui";
    assert_eq!(api.put(&do_azure, &json!({"nome": "Outro"})).await.error(409), read_only);
    assert_eq!(api.delete(&do_azure).await.error(409), read_only);
    let in_use = api.delete(&format!("{PATH}/{usado}")).await;
    assert_eq!(in_use.error(409), "O projeto possui atividades e não pode ser excluído");
    assert_eq!(api.get(&do_azure).await.expect(200)["nome"], "Do Azure");
    assert_eq!(api.delete(&format!("/api/v1/atividades/{atividade}")).await.status, 204);
    assert_eq!(api.delete(&format!("{PATH}/{usado}")).await.status, 204);
}

#[tokio::test]
async fn integracao_without_organisation_returns_409() {
    let Aponta { api, .. } = &Aponta::start();
    let detail = "A integração com o Azure DevOps não está configurada neste servidor";

    assert_eq!(api.post("/api/v1/integracao/sincronizar", &json!({})).await.error(409), detail);
    assert_eq!(api.get("/api/v1/integracao/projetos").await.error(409), detail);
}
