use actix_web::test::TestRequest;
use domain::testing::{projeto, projeto_id, stored_projeto};
use domain::{AzureProjectId, Conflict, Error, Projeto};
use insta::assert_json_snapshot;
use serde_json::json;

use crate::support::TestApp;

fn uri() -> String {
    format!("/api/v1/projetos/{}", projeto_id().0)
}

#[actix_web::test]
async fn listar_returns_an_array_with_deprecated_names() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_list().returning(|_| {
        let portal = projeto("Portal");
        Ok(vec![Projeto {
            azure_project_id: Some(AzureProjectId::parse("EB6E4656-77FC-42A1-9181-4C6D8E9DA5D1").unwrap()),
            url: Some("https://dev.azure.com/exemplo".to_owned()),
            estado: Some("wellFormed".to_owned()),
            sincronizado_em: Some(portal.criado_em),
            ..portal
        }]
        .into())
    });

    let response = test_app.send(TestRequest::get().uri("/api/v1/projetos")).await;

    assert_json_snapshot!(response.json(), @r#"
    [
      {
        "atualizado_em": "2026-01-12T16:00:00.123456Z",
        "azure_project_id": "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1",
        "created_at": "2026-01-12T16:00:00.123456Z",
        "criado_em": "2026-01-12T16:00:00.123456Z",
        "descricao": null,
        "estado": "wellFormed",
        "external_id": "eb6e4656-77fc-42a1-9181-4c6d8e9da5d1",
        "id": "0194f6a0-0000-7000-8000-00000000b001",
        "last_sync_at": "2026-01-12T16:00:00.123456Z",
        "nome": "Portal",
        "sincronizado_em": "2026-01-12T16:00:00.123456Z",
        "updated_at": "2026-01-12T16:00:00.123456Z",
        "url": "https://dev.azure.com/exemplo"
      }
    ]
    "#);
}

#[actix_web::test]
async fn criar_ignores_fields_of_azure_devops() {
    let mut test_app = TestApp::new();
    test_app.projetos.expect_insert().returning(|record, _| Ok(stored_projeto(record)));
    let body = json!({"nome": "Interno", "azure_project_id": projeto_id().0, "estado": "wellFormed", "id": "x"});

    let response = test_app.send(TestRequest::post().uri("/api/v1/projetos").set_json(body)).await;

    assert_eq!(response.status, 201);
    let projeto = response.json();
    assert_eq!(
        response.header("location"),
        Some(format!("/api/v1/projetos/{}", projeto["id"].as_str().unwrap()).as_str())
    );
    assert_eq!((&projeto["azure_project_id"], &projeto["estado"]), (&json!(null), &json!(null)));
}

#[actix_web::test]
async fn excluir_conflict_returns_409() {
    let cases = [
        (Conflict::ProjetoComAtividades, "O projeto possui atividades e não pode ser excluído"),
        (Conflict::ProjetoDoAzure, "O projeto pertence ao Azure DevOps e não pode ser alterado aqui"),
    ];
    for (conflict, text) in cases {
        let mut test_app = TestApp::new();
        test_app.projetos.expect_delete().returning(move |_, _| Err(Error::Conflict(conflict)));

        assert_eq!(test_app.send(TestRequest::delete().uri(&uri())).await.error(), (409, text.to_owned()));
    }
}

#[actix_web::test]
async fn unknown_id_returns_404_with_its_name() {
    let expected = (404, format!("Projeto com ID {} não encontrado", projeto_id().0));
    for request in [TestRequest::get(), TestRequest::put().set_json(json!({})), TestRequest::delete()] {
        let mut test_app = TestApp::new();
        test_app.projetos.expect_find().returning(|_| Ok(None));
        test_app.projetos.expect_update().returning(|_, _, _| Ok(None));
        test_app.projetos.expect_delete().returning(|_, _| Ok(false));

        assert_eq!(test_app.send(request.uri(&uri())).await.error(), expected);
    }
}
