use actix_web::test::TestRequest;
use domain::testing::{atividade, atividade_id, projeto_da_atividade, projeto_id, stored};
use domain::{
    Atividade, AtividadeFiltro, AtividadePatch, AtividadeQuery, AtividadeRecord, Error, Limit, Page, Patch, ProjetoRef,
    Skip, Violation,
};
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
      "nome_projeto": "Portal",
      "projetos": [
        {
          "id": "0194f6a0-0000-7000-8000-00000000b001",
          "nome": "Portal"
        }
      ]
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

/// Returns the text of the id with number `n`.
fn id(n: u128) -> String {
    uuid::Uuid::from_u128(n).to_string()
}

#[actix_web::test]
async fn criar_with_several_projetos_returns_them_in_order() {
    let several = vec![ProjetoRef(uuid::Uuid::from_u128(3)), ProjetoRef(uuid::Uuid::from_u128(1))];
    let both = json!({"nome": "A", "id_projeto": id(3), "ids_projetos": [id(3), id(1)]});
    for body in [json!({"nome": "A", "ids_projetos": [id(3), id(1)]}), both] {
        let mut test_app = TestApp::new();
        let expected = several.clone();
        test_app
            .atividades
            .expect_insert()
            .withf(move |record| record.projetos.iter().eq(expected.iter().copied()))
            .returning(|record| Ok(stored(record)));

        let response = test_app.send(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

        assert_eq!(response.status, 201, "{}", response.body);
        let projetos = json!([{"id": id(3), "nome": "Portal"}, {"id": id(1), "nome": "Outro"}]);
        assert_eq!((&response.json()["id_projeto"], &response.json()["projetos"]), (&json!(id(3)), &projetos));
    }
}

/// The same for both bodies, except that an update may have no projeto.
#[actix_web::test]
async fn invalid_projetos_are_reported_with_their_location() {
    let (list, single) = (json!(["body", "ids_projetos"]), json!(["body", "id_projeto"]));
    let item = |n: usize| json!(["body", "ids_projetos", n]);
    let hundred: Vec<_> = (1..=101).map(id).collect();
    let repeated = json!([id(1), id(2), id(1).replace('-', ""), id(2).to_uppercase()]);
    for (projetos, expected) in [
        (json!({"ids_projetos": []}), vec![("too_short", list.clone())]),
        (json!({"ids_projetos": hundred}), vec![("too_long", list.clone())]),
        (json!({"ids_projetos": repeated}), vec![("value_error", item(2)), ("value_error", item(3))]),
        (
            json!({"ids_projetos": [id(1), "x", 7, null]}),
            vec![("uuid_parsing", item(1)), ("uuid_type", item(2)), ("uuid_type", item(3))],
        ),
        (json!({"ids_projetos": null}), vec![("list_type", list.clone())]),
        (json!({"ids_projetos": id(1)}), vec![("list_type", list.clone())]),
        (json!({"ids_projetos": {}}), vec![("list_type", list.clone())]),
        (json!({"id_projeto": id(2), "ids_projetos": [id(1), id(2)]}), vec![("value_error", single.clone())]),
        (json!({"id_projeto": null, "ids_projetos": [id(1)]}), vec![("uuid_type", single.clone())]),
        (
            json!({"id_projeto": "x", "ids_projetos": []}),
            vec![("uuid_parsing", single.clone()), ("too_short", list.clone())],
        ),
    ] {
        for request in [TestRequest::post().uri("/api/v1/atividades"), TestRequest::put().uri(&uri())] {
            let mut body = projetos.clone();
            body["nome"] = json!("");

            let response = TestApp::new().send(request.set_json(&body)).await;

            let mut expected: Vec<_> = expected.iter().map(|(code, loc)| ((*code).to_owned(), loc.clone())).collect();
            expected.insert(0, ("string_too_short".to_owned(), json!(["body", "nome"])));
            assert_eq!(response.errors(), expected, "{body}");
        }
    }
    let response =
        TestApp::new().send(TestRequest::post().uri("/api/v1/atividades").set_json(json!({"ativo": 2}))).await;
    let loc = |field: &str| json!(["body", field]);
    let missing = |field| ("missing".to_owned(), loc(field));
    assert_eq!(response.errors(), [missing("nome"), ("bool_parsing".to_owned(), loc("ativo")), missing("id_projeto")]);
}

#[actix_web::test]
async fn unknown_projetos_are_reported_at_their_index() {
    let unknown = |record: AtividadeRecord| Err(Error::Invalid(record.projetos.unknown(|id| id.0.as_u128() == 2)));
    let mut test_app = TestApp::new();
    test_app.atividades.expect_insert().returning(unknown);
    let body = json!({"nome": "A", "ids_projetos": [id(1), id(2), id(3)]});

    let response = test_app.send(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

    let text = |n| format!("Projeto não encontrado: {}", id(n));
    let at = |index: usize, n| json!({"type": "value_error", "loc": ["body", "ids_projetos", index], "msg": text(n)});
    assert_eq!(response.error(), (400, format!("{}; {}", text(1), text(3))));
    assert_eq!(response.json()["errors"], json!([at(0, 1), at(2, 3)]));
}

#[actix_web::test]
async fn atualizar_replaces_all_projetos_by_either_field() {
    for (body, expected) in
        [(json!({"ids_projetos": [id(2), id(1)]}), vec![2, 1]), (json!({"id_projeto": id(3)}), vec![3])]
    {
        let mut test_app = TestApp::new();
        let is_expected = move |patch: &AtividadePatch| {
            patch
                .projetos
                .as_ref()
                .is_some_and(|projetos| projetos.iter().map(|id| id.0.as_u128()).eq(expected.clone()))
        };
        test_app
            .atividades
            .expect_update()
            .withf(move |_, patch, _| is_expected(patch))
            .returning(|_, _, _| Ok(Some(atividade("A"))));

        let response = test_app.send(TestRequest::put().uri(&uri()).set_json(body)).await;

        assert_eq!(response.status, 200, "{}", response.body);
    }
}

#[actix_web::test]
async fn listar_gestao_returns_what_listar_returns() {
    let mut responses = Vec::new();
    for path in ["/api/v1/atividades", "/api/v1/atividades/gestao"] {
        let mut test_app = TestApp::new();
        let several = || Atividade { outros_projetos: vec![projeto_da_atividade(2, "Outro")], ..atividade("A") };
        test_app.atividades.expect_list().returning(move |query| {
            assert_eq!((query.limit.get(), query.filtro.ativo), (7, Some(true)));
            Ok(Page { items: vec![several()], total: 9, last: None })
        });

        let response = test_app.send(TestRequest::get().uri(&format!("{path}?limit=7&ativo=true"))).await;

        assert_eq!(response.status, 200, "{}", response.body);
        assert!(response.header("link").unwrap().contains(&format!("{path}?")), "{:?}", response.header("link"));
        responses.push(response.json());
    }
    assert_eq!(responses[0], responses[1]);
    assert_eq!(responses[0]["items"][0]["projetos"][1]["nome"], "Outro");
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
