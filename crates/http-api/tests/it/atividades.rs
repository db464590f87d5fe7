use actix_web::test::TestRequest;
use domain::testing::{atividade, atividade_id, projeto_id, stored};
use domain::{AtividadeFiltro, AtividadeQuery, Error, Limit, Page, Patch, ProjetoRef, Skip, Violation};
use insta::assert_json_snapshot;
use mockall::predicate::{always, eq, function};
use serde_json::json;

use crate::support::TestApp;

fn uri() -> String {
    format!("/api/v1/atividades/{}", atividade_id().0)
}

#[actix_web::test]
async fn criar_valid_body_returns_201_with_location() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_insert().returning(|record| Ok(stored(record)));
    let body = json!({"nome": "  Revisar contrato ", "id_projeto": projeto_id().0});

    let response = test_app.send(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

    assert_eq!(response.status, 201);
    let location = format!("/api/v1/atividades/{}", response.json()["id"].as_str().unwrap());
    assert_eq!(response.header("location"), Some(location.as_str()));
    let mut criada = response.json();
    criada.as_object_mut().unwrap().remove("id");
    assert_json_snapshot!(criada, @r#"
    {
      "ativo": true,
      "atualizado_em": "2026-01-12T16:00:00.123456Z",
      "criado_em": "2026-01-12T16:00:00.123456Z",
      "criado_por": "dev@localhost",
      "descricao": null,
      "id_projeto": "0194f6a0-0000-7000-8000-00000000b001",
      "nome": "Revisar contrato",
      "nome_projeto": "Portal"
    }
    "#);
}

#[actix_web::test]
async fn criar_unknown_projeto_returns_400_with_text_and_field() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_insert().returning(|_| Err(Error::invalid("id_projeto", Violation::UnknownProjeto)));
    let body = json!({"nome": "A", "id_projeto": projeto_id().0});

    let response = test_app.send(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

    assert_eq!(response.status, 400);
    let text = format!("Projeto não encontrado: {}", projeto_id().0);
    let fields = json!([{"type": "value_error", "loc": ["body", "id_projeto"], "msg": text}]);
    assert_eq!(response.json(), json!({"detail": text, "message": text, "errors": fields}));
}

#[actix_web::test]
async fn listar_default_returns_items_and_total() {
    let mut test_app = TestApp::new();
    let query = AtividadeQuery {
        skip: Skip::parse(2).unwrap(),
        limit: Limit::parse(1).unwrap(),
        filtro: AtividadeFiltro { ativo: Some(false), projeto: Some(ProjetoRef(projeto_id().0)), texto: None },
        ..AtividadeQuery::default()
    };
    test_app
        .atividades
        .expect_list()
        .with(eq(query))
        .returning(|_| Ok(Page { items: vec![atividade("A")], total: 7, last: None }));
    let uri = format!("/api/v1/atividades?skip=2&limit=1&ativo=Off&id_projeto={}&x=1", projeto_id().0);

    let response = test_app.send(TestRequest::get().uri(&uri)).await;

    assert_eq!((response.status.as_u16(), response.json()["total"].as_u64()), (200, Some(7)));
    assert_eq!(response.json()["items"][0]["nome"], "A");
}

#[actix_web::test]
async fn listar_without_parameters_uses_the_default_page() {
    let mut test_app = TestApp::new();
    let query = AtividadeQuery { limit: Limit::LARGEST, ..AtividadeQuery::default() };
    test_app
        .atividades
        .expect_list()
        .with(eq(query))
        .returning(|_| Ok(Page { items: vec![], total: 1001, last: None }));

    let response = test_app.send(TestRequest::get().uri("/api/v1/atividades")).await;

    assert_eq!(response.body, r#"{"items":[],"total":1001}"#);
    let link = response.header("link").unwrap();
    assert!(link.contains("</api/v1/atividades?limit=1000&skip=1000>; rel=\"next\""), "{link}");
}

#[actix_web::test]
async fn listar_with_skip_or_apos_has_a_limit_of_100() {
    for parameter in ["skip=0", "apos="] {
        let mut test_app = TestApp::new();
        let has_default_limit = function(|query: &AtividadeQuery| query.limit == Limit::default());
        let page = || Ok(Page { items: vec![], total: 0, last: None });
        test_app.atividades.expect_list().with(has_default_limit).returning(move |_| page());

        let response = test_app.send(TestRequest::get().uri(&format!("/api/v1/atividades?{parameter}"))).await;

        assert_eq!(response.status, 200, "{parameter}");
    }
}

#[actix_web::test]
async fn atualizar_null_clears_and_absent_keeps() {
    let mut test_app = TestApp::new();
    test_app
        .atividades
        .expect_update()
        .with(
            eq(atividade_id()),
            function(|patch: &domain::AtividadePatch| {
                patch.nome.is_none() && patch.descricao == Patch::Null && patch.ativo == Some(false)
            }),
            always(),
        )
        .returning(|_, _, _| Ok(Some(atividade("A"))));
    let body = json!({"descricao": null, "ativo": false});

    let response = test_app.send(TestRequest::put().uri(&uri()).set_json(body)).await;

    assert_eq!(response.status, 200);
}

#[actix_web::test]
async fn excluir_existing_returns_204_without_body() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_delete().with(eq(atividade_id()), eq(None)).returning(|_, _| Ok(true));

    let response = test_app.send(TestRequest::delete().uri(&uri())).await;

    assert_eq!((response.status.as_u16(), response.body.as_str()), (204, ""));
}

#[actix_web::test]
async fn unknown_id_returns_404_with_its_name() {
    let expected = (404, format!("Atividade com ID {} não encontrada", atividade_id().0));
    for request in [TestRequest::get(), TestRequest::put().set_json(json!({})), TestRequest::delete()] {
        let mut test_app = TestApp::new();
        test_app.atividades.expect_find().returning(|_| Ok(None));
        test_app.atividades.expect_update().returning(|_, _, _| Ok(None));
        test_app.atividades.expect_delete().returning(|_, _| Ok(false));

        assert_eq!(test_app.send(request.uri(&uri())).await.error(), expected);
    }
}
