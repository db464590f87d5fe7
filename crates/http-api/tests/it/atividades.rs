use actix_web::test::TestRequest;
use domain::testing::{atividade, atividade_id, projeto_id, stored};
use domain::{AtividadeFiltro, AtividadeQuery, Error, Limit, Page, Patch, ProjetoRef, Skip, Violation};
use insta::assert_json_snapshot;
use mockall::predicate::{always, eq, function};
use serde_json::json;

use crate::support::World;

fn uri() -> String {
    format!("/api/v1/atividades/{}", atividade_id().0)
}

#[actix_web::test]
async fn criar_answers_201_with_the_address_and_the_atividade() {
    let mut world = World::new();
    world.atividades.expect_insert().returning(|record| Ok(stored(record)));
    let body = json!({"nome": "  Revisar contrato ", "id_projeto": projeto_id().0});

    let answer = world.answer(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

    assert_eq!(answer.status, 201);
    let location = format!("/api/v1/atividades/{}", answer.json()["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(location.as_str()));
    let mut criada = answer.json();
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
async fn criar_in_an_unknown_projeto_is_a_fault_of_id_projeto() {
    let mut world = World::new();
    world.atividades.expect_insert().returning(|_| Err(Error::invalid("id_projeto", Violation::UnknownProjeto)));
    let body = json!({"nome": "A", "id_projeto": projeto_id().0});

    let answer = world.answer(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

    assert_eq!(answer.faults(), [("value_error".to_owned(), json!(["body", "id_projeto"]))]);
    assert_eq!(answer.json()["message"], "id_projeto: Projeto não encontrado");
}

#[actix_web::test]
async fn listar_answers_items_and_total() {
    let mut world = World::new();
    let query = AtividadeQuery {
        skip: Skip::parse(2).unwrap(),
        limit: Limit::parse(1).unwrap(),
        filtro: AtividadeFiltro { ativo: Some(false), projeto: Some(ProjetoRef(projeto_id().0)), texto: None },
        ..AtividadeQuery::default()
    };
    world
        .atividades
        .expect_list()
        .with(eq(query))
        .returning(|_| Ok(Page { items: vec![atividade("A")], total: 7, last: None }));
    let uri = format!("/api/v1/atividades?skip=2&limit=1&ativo=Off&id_projeto={}&x=1", projeto_id().0);

    let answer = world.answer(TestRequest::get().uri(&uri)).await;

    assert_eq!((answer.status.as_u16(), answer.json()["total"].as_u64()), (200, Some(7)));
    assert_eq!(answer.json()["items"][0]["nome"], "A");
}

#[actix_web::test]
async fn listar_asks_for_a_hundred_from_the_start_when_nothing_is_said() {
    let mut world = World::new();
    let query = AtividadeQuery::default();
    world.atividades.expect_list().with(eq(query)).returning(|_| Ok(Page { items: vec![], total: 0, last: None }));

    let answer = world.answer(TestRequest::get().uri("/api/v1/atividades")).await;

    assert_eq!(answer.body, r#"{"items":[],"total":0}"#);
}

#[actix_web::test]
async fn atualizar_tells_absent_from_null() {
    let mut world = World::new();
    world
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

    let answer = world.answer(TestRequest::put().uri(&uri()).set_json(body)).await;

    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn excluir_answers_204_without_a_body() {
    let mut world = World::new();
    world.atividades.expect_delete().with(eq(atividade_id()), eq(None)).returning(|_, _| Ok(true));

    let answer = world.answer(TestRequest::delete().uri(&uri())).await;

    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
}

#[actix_web::test]
async fn what_does_not_exist_is_a_404_that_names_it() {
    let expected = (404, format!("Atividade com ID {} não encontrada", atividade_id().0));
    for request in [TestRequest::get(), TestRequest::put().set_json(json!({})), TestRequest::delete()] {
        let mut world = World::new();
        world.atividades.expect_find().returning(|_| Ok(None));
        world.atividades.expect_update().returning(|_, _, _| Ok(None));
        world.atividades.expect_delete().returning(|_, _| Ok(false));

        assert_eq!(world.answer(request.uri(&uri())).await.error(), expected);
    }
}
