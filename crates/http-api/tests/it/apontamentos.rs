use actix_web::test::TestRequest;
use domain::testing::{apontamento, atividade_id, maria, projeto_id, stored_apontamento, work_item, work_item_states};
use domain::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoQuery, Batch, Caller, Chave, Comentario, Error, Escrita,
    EscritaFiltro, Limit, LinhaDeHoras, MotivoDoErro, Patch, ProjetoRef, Refusal, RefusalReason, Service, Totais,
    UsuarioRef, WorkItem, WorkItemId, WorkItemVisto,
};
use insta::assert_json_snapshot;
use mockall::predicate::{always, eq, function};
use serde_json::{Value, json};
use time::macros::date;

use crate::support::{StubIdentity, TestApp};

const PATH: &str = "/api/v1/apontamentos";

fn uri() -> String {
    format!("{PATH}/{}", apontamento(90).id.0)
}

fn body() -> Value {
    json!({
        "work_item_id": 41, "duracao": "1:30", "data_apontamento": "2026-01-12", "comentario": "Com o cliente",
        "id_atividade": atividade_id().0, "organization_name": "EXEMPLO", "project_id": projeto_id().0,
        "usuario_id": "outro", "usuario_nome": "Outro", "usuario_email": "outro@exemplo.br",
    })
}

/// An application whose user is Maria and whose work item is active.
pub fn test_app() -> TestApp {
    let mut test_app = TestApp::new();
    test_app.identity = std::sync::Arc::new(StubIdentity(|| Ok(maria())));
    test_app.work_items.expect_find().returning(|_, _| Ok(Some(work_item(41))));
    test_app.work_items.expect_states().returning(|_, _, _| Ok(work_item_states()));
    test_app.apontamentos.expect_replay().returning(|_, _| Ok(None));
    test_app
}

/// An application in which everything is stored.
fn storing() -> TestApp {
    let mut test_app = test_app();
    test_app
        .apontamentos
        .expect_insert_all()
        .returning(|records, _| Ok(records.into_iter().map(stored_apontamento).collect()));
    test_app
}

pub fn with_token(request: TestRequest) -> TestRequest {
    request.insert_header(("Authorization", "Bearer x"))
}

fn refused(reason: RefusalReason) -> Error {
    Error::Refused(vec![Refusal { item: Some(0), reason }])
}

#[actix_web::test]
async fn criar_valid_body_returns_201_of_the_caller() {
    let request =
        with_token(TestRequest::post().uri(PATH).set_json(body())).insert_header(("x-custom-header", "b3V0cm8="));

    let response = storing().send(request).await;

    assert_eq!(response.status, 201, "{}", response.body);
    let mut criado = response.json();
    let location = format!("{PATH}/{}", criado["id"].as_str().unwrap());
    assert_eq!(response.header("location"), Some(location.as_str()));
    criado.as_object_mut().unwrap().remove("id");
    assert_json_snapshot!(criado, @r#"
    {
      "atividade": {
        "id": "0194f6a0-0000-7000-8000-00000000a001",
        "nome": "Revisar"
      },
      "atualizado_em": "2026-01-12T16:00:00.123456Z",
      "avisos": [],
      "comentario": "Com o cliente",
      "criado_em": "2026-01-12T16:00:00.123456Z",
      "data_apontamento": "2026-01-12",
      "duracao": "01:30",
      "duracao_horas": 1.5,
      "id_atividade": "0194f6a0-0000-7000-8000-00000000a001",
      "minutos": 90,
      "organization_name": "exemplo",
      "project_id": "0194f6a0-0000-7000-8000-00000000b001",
      "sincronizacao": "desligada",
      "sincronizacao_motivo": null,
      "usuario_email": "maria@exemplo.br",
      "usuario_id": "d291b0c4-a05c-4ea6-8df1-4b41d5f39eff",
      "usuario_nome": "Maria Souza",
      "work_item": {
        "tipo": "Task",
        "titulo": "Tarefa 41"
      },
      "work_item_id": 41
    }
    "#);
}

/// The tag of a POST and of a PUT is that of a GET, with or without warnings.
#[actix_web::test]
async fn etag_of_a_write_matches_a_read() {
    let stored = || Apontamento {
        work_item_visto: Some(WorkItemVisto { titulo: "Tarefa 41".to_owned(), tipo: "Task".to_owned() }),
        ..apontamento(90)
    };
    let mut reading = test_app();
    reading.apontamentos.expect_find().returning(move |_| Ok(Some(stored())));
    let read = reading.send(with_token(TestRequest::get().uri(&uri()))).await;
    let mut writing = test_app();
    writing.apontamentos.expect_insert_all().returning(move |_, _| Ok(vec![stored()]));
    let created = writing.send(with_token(TestRequest::post().uri(PATH).set_json(body()))).await;
    let mut failing = TestApp::new();
    failing.identity = std::sync::Arc::new(StubIdentity(|| Ok(maria())));
    failing.apontamentos.expect_find().returning(move |_| Ok(Some(stored())));
    failing.apontamentos.expect_update().returning(move |_, _, _, _| Ok(Some(stored())));
    let timed_out = || Error::TimedOut { service: Service::AzureDevOps, cause: "slow".into() };
    failing.work_items.expect_find().returning(move |_, _| Err(timed_out()));
    let put = with_token(TestRequest::put().uri(&uri()).set_json(json!({"duracao": "01:30"})));
    let updated = failing.send(put.insert_header(("If-Match", read.header("etag").unwrap()))).await;

    assert_eq!((read.status.as_u16(), created.status.as_u16(), updated.status.as_u16()), (200, 201, 200));
    assert_eq!((read.header("etag"), read.header("etag")), (created.header("etag"), updated.header("etag")));
    let aviso = "O work item 41 não foi verificado, porque o Azure DevOps não pôde ser consultado";
    assert_eq!(updated.json()["avisos"], json!([aviso]));
    assert!(read.json().get("avisos").is_none());
}

#[actix_web::test]
async fn body_with_several_errors_reports_all() {
    let bad = json!({
        "work_item_id": 0, "duracao": "24:01", "data_apontamento": "2026-02-29", "comentario": "a".repeat(501),
        "id_atividade": 7, "organization_name": " ", "project_id": null,
    });

    let response = test_app().send(with_token(TestRequest::post().uri(PATH).set_json(bad))).await;

    let expected = [
        ("greater_than_equal", "work_item_id"),
        ("value_error", "duracao"),
        ("date_parsing", "data_apontamento"),
        ("string_too_long", "comentario"),
        ("uuid_type", "id_atividade"),
        ("string_too_short", "organization_name"),
        ("string_type", "project_id"),
    ];
    let expected = expected.map(|(code, field)| (code.to_owned(), json!(["body", field])));
    assert_eq!(response.errors(), expected);
}

#[actix_web::test]
async fn date_out_of_range_returns_422_at_its_field() {
    for data in ["1999-12-31", "2027-01-13"] {
        let mut body = body();
        body["data_apontamento"] = json!(data);

        let response = test_app().send(with_token(TestRequest::post().uri(PATH).set_json(body))).await;

        let [(_, loc)] = &response.errors()[..] else { panic!("{}", response.body) };
        assert_eq!(*loc, json!(["body", "data_apontamento"]));
    }
}

/// Each refusal has its status and a text as `detail`, and names its field for programs.
#[actix_web::test]
async fn refusal_returns_its_status_with_a_text() {
    let cases = [
        (
            RefusalReason::UnknownAtividade(atividade_id()),
            400,
            "id_atividade",
            "Atividade não encontrada: 0194f6a0-0000-7000-8000-00000000a001",
        ),
        (RefusalReason::InactiveAtividade, 409, "id_atividade", "A atividade está inativa e não recebe apontamentos"),
        (
            RefusalReason::DayFull { data: date!(2026 - 01 - 12), restantes: 75 },
            409,
            "duracao",
            "O limite de 24:00 por dia seria ultrapassado em 2026-01-12: restam 01:15",
        ),
        (
            RefusalReason::DayFull { data: date!(2026 - 01 - 12), restantes: 0 },
            409,
            "duracao",
            "O limite de 24:00 por dia foi atingido em 2026-01-12",
        ),
    ];
    for (reason, status, field, text) in cases {
        let mut test_app = test_app();
        test_app.apontamentos.expect_insert_all().returning(move |_, _| Err(refused(reason.clone())));

        let response = test_app.send(with_token(TestRequest::post().uri(PATH).set_json(body()))).await;

        assert_eq!(response.error(), (status, text.to_owned()));
        let errors = json!([{"type": "value_error", "loc": ["body", field], "msg": text}]);
        assert_eq!(response.json()["errors"], errors);
    }
}

#[actix_web::test]
async fn work_items_are_refused_with_404_and_422() {
    let mut missing = TestApp::new();
    missing.work_items.expect_find().returning(|_, _| Ok(None));
    let mut closed = TestApp::new();
    closed
        .work_items
        .expect_find()
        .returning(|_, _| Ok(Some(WorkItem { estado: "Closed".to_owned(), ..work_item(41) })));
    closed.work_items.expect_states().returning(|_, _, _| Ok(work_item_states()));

    let missing = missing.send(TestRequest::post().uri(PATH).set_json(body())).await;
    let closed = closed.send(TestRequest::post().uri(PATH).set_json(body())).await;

    assert_eq!(missing.error(), (404, "Work item 41 não encontrado".to_owned()));
    let text = "O work item 41 está encerrado (Closed) e não recebe apontamentos nem alterações";
    assert_eq!(closed.error(), (422, text.to_owned()));
}

#[actix_web::test]
async fn another_organisation_is_refused_with_both_names() {
    let mut body = body();
    body["organization_name"] = json!("Outra");

    let created = test_app().send(with_token(TestRequest::post().uri(PATH).set_json(body))).await;
    let mut responses = vec![created];
    for path in ["", "/resumo", "/azure-info"] {
        let uri = format!("{PATH}/work-item/41{path}?organization_name=Outra&project_id=x");
        responses.push(test_app().send(with_token(TestRequest::get().uri(&uri))).await);
    }

    for response in responses {
        let expected = (400, "Este servidor atende a organização exemplo, e não Outra".to_owned());
        assert_eq!(response.error(), expected);
    }
}

#[actix_web::test]
async fn problem_details_list_the_field_of_a_refusal() {
    let mut test_app = test_app();
    test_app.apontamentos.expect_insert_all().returning(|_, _| Err(refused(RefusalReason::InactiveAtividade)));
    let request = with_token(TestRequest::post().uri(PATH).set_json(body()));

    let response = test_app.send(request.insert_header(("Accept", "application/problem+json"))).await;

    let problem = response.json();
    assert_eq!(
        (problem["status"].as_u64(), &problem["errors"][0]["loc"]),
        (Some(409), &json!(["body", "id_atividade"]))
    );
}

#[actix_web::test]
async fn lote_names_each_refused_item() {
    let mut test_app = test_app();
    test_app.apontamentos.expect_insert_all().returning(|_, _| {
        let reason = RefusalReason::InactiveAtividade;
        Err(Error::Refused([1, 2].map(|item| Refusal { item: Some(item), reason: reason.clone() }).into()))
    });
    let lote = json!({"items": [body(), body(), body()]});

    let response = test_app.send(with_token(TestRequest::post().uri(&format!("{PATH}/lote")).set_json(lote))).await;

    let text = "A atividade está inativa e não recebe apontamentos";
    assert_eq!(response.error(), (409, format!("items.1: {text}; items.2: {text}")));
    assert_eq!(response.json()["errors"][1]["loc"], json!(["body", "items", 2, "id_atividade"]));
}

#[actix_web::test]
async fn only_the_owner_changes_and_deletes() {
    fn rui() -> Caller {
        Caller { usuario: domain::Usuario { id: "rui".to_owned(), ..maria().usuario }, ..maria() }
    }
    for request in [TestRequest::put().set_json(json!({"duracao": "1:00"})), TestRequest::delete()] {
        let mut test_app = TestApp::new();
        test_app.identity = std::sync::Arc::new(StubIdentity(|| Ok(rui())));
        test_app.apontamentos.expect_find().returning(|_| Ok(Some(apontamento(90))));

        let response = test_app.send(with_token(request.uri(&uri()))).await;

        assert_eq!(response.error(), (403, "Somente quem apontou pode alterar".to_owned()));
    }
}

#[actix_web::test]
async fn atualizar_null_or_empty_comment_clears_it() {
    let cases = [
        (json!({"comentario": null}), Patch::Null),
        (json!({"comentario": ""}), Patch::Null),
        (json!({"comentario": "x"}), Patch::Value(Comentario::parse("x".to_owned()).unwrap().unwrap())),
        (json!({"duracao": "00:10"}), Patch::Absent),
    ];
    for (body, comentario) in cases {
        let mut test_app = test_app();
        test_app.apontamentos.expect_find().returning(|_| Ok(Some(apontamento(90))));
        let has_comment = function(move |patch: &domain::ApontamentoPatch| patch.comentario == comentario);
        test_app
            .apontamentos
            .expect_update()
            .with(eq(apontamento(90).id), always(), has_comment, always())
            .returning(|_, _, _, _| Ok(Some(apontamento(90))));

        let response = test_app.send(with_token(TestRequest::put().uri(&uri()).set_json(&body))).await;

        assert_eq!(response.status, 200, "{body}");
    }
}

#[actix_web::test]
async fn atualizar_null_in_another_field_returns_422() {
    let body = json!({"duracao": null, "data_apontamento": null, "id_atividade": null});

    let response = test_app().send(with_token(TestRequest::put().uri(&uri()).set_json(body))).await;

    let expected = [("string_type", "duracao"), ("string_type", "data_apontamento"), ("uuid_type", "id_atividade")];
    assert_eq!(response.errors(), expected.map(|(code, field)| (code.to_owned(), json!(["body", field]))));
}

#[actix_web::test]
async fn unknown_id_returns_404() {
    for request in [TestRequest::get(), TestRequest::put().set_json(json!({})), TestRequest::delete()] {
        let mut test_app = test_app();
        test_app.apontamentos.expect_find().returning(|_| Ok(None));

        let error = test_app.send(with_token(request.uri(&uri()))).await.error();

        assert_eq!(error, (404, format!("Apontamento com ID {} não encontrado", apontamento(90).id.0)));
    }
}

#[actix_web::test]
async fn listar_passes_the_filters_and_pages_by_cursor() {
    let filtro = ApontamentoFiltro {
        de: Some(date!(2026 - 01 - 12)),
        ate: Some(date!(2026 - 01 - 18)),
        usuario: Some(UsuarioRef::Id(maria().usuario.id)),
        projeto: Some(ProjetoRef(projeto_id().0)),
        atividade: Some(atividade_id()),
        work_item: Some(WorkItemId::new(41).unwrap()),
        escrita: Some(EscritaFiltro::Erro),
    };
    let query = ApontamentoQuery { filtro, limit: Limit::ONE, ..ApontamentoQuery::default() };
    let mut test_app = test_app();
    test_app.apontamentos.expect_list().with(eq(query)).returning(|_| Ok(vec![apontamento(90)].into()));
    test_app
        .apontamentos
        .expect_list()
        .with(function(|query: &ApontamentoQuery| query.apos.is_some()))
        .returning(|_| Ok(vec![apontamento(90)].into()));
    let uri = format!(
        "{PATH}?de=2026-01-12&ate=2026-01-18&usuario=eu&id_projeto={}&id_atividade={}&work_item_id=41&sincronizacao=erro&limit=1",
        projeto_id().0,
        atividade_id().0
    );

    let response = test_app.send(with_token(TestRequest::get().uri(&uri))).await;

    let page = response.json();
    assert_eq!((response.status.as_u16(), page["items"][0]["duracao"].as_str()), (200, Some("01:30")), "{page}");
    assert!(page.get("total").is_none(), "it was not requested");
    let proximo = page["proximo"].as_str().unwrap();
    assert!(response.header("link").unwrap().contains(&format!("apos={proximo}>; rel=\"next\"")));
}

#[actix_web::test]
async fn listar_with_total_counts_and_sums() {
    let mut test_app = test_app();
    let by_email = |email: &str| ApontamentoFiltro {
        usuario: Some(UsuarioRef::Email(email.to_owned())),
        ..ApontamentoFiltro::default()
    };
    let totais = Totais { apontamentos: 3, minutos: 100 };
    test_app.apontamentos.expect_totals().with(eq(by_email("a@b.c"))).returning(move |_| Ok(totais));
    test_app.apontamentos.expect_list().returning(|_| Ok(Vec::new().into()));

    let response = test_app.send(with_token(TestRequest::get().uri(&format!("{PATH}?usuario=a@b.c&total=true")))).await;

    assert_eq!(response.json(), json!({"items": [], "proximo": null, "total": 3, "total_minutos": 100}));
}

#[actix_web::test]
async fn csv_has_decimal_commas_with_semicolons_and_no_formulas() {
    let row =
        || Apontamento { comentario: Some(Comentario::parse("=1+1".to_owned()).unwrap().unwrap()), ..apontamento(100) };
    for (separador, line) in [
        (",", "2026-01-12,01:40,1.67,100,Maria Souza,maria@exemplo.br,Portal,Revisar,41,,'=1+1,"),
        (";", "2026-01-12;01:40;1,67;100;Maria Souza;maria@exemplo.br;Portal;Revisar;41;;'=1+1;"),
    ] {
        let mut test_app = test_app();
        test_app.apontamentos.expect_list().returning(move |_| Ok(Batch::from(vec![row()])));
        let uri = format!("{PATH}?formato=csv&bom=true&separador={separador}");

        let response = test_app.send(with_token(TestRequest::get().uri(&uri))).await;

        let head = "data duracao horas minutos usuario email projeto atividade work_item_id work_item comentario id";
        let expected = format!("\u{feff}{}\r\n{line}{}\r\n", head.replace(' ', separador), apontamento(1).id.0);
        assert_eq!(response.body, expected);
    }
}

#[actix_web::test]
async fn work_item_lists_and_sums() {
    let mut list = test_app();
    list.apontamentos.expect_totals().returning(|_| Ok(Totais { apontamentos: 1, minutos: 90 }));
    list.apontamentos.expect_list().returning(|query| {
        assert_eq!((query.limit, query.filtro.work_item.map(WorkItemId::get)), (Limit::LARGEST, Some(41)));
        Ok(Vec::new().into())
    });
    let mut resumo = test_app();
    resumo.apontamentos.expect_report().returning(|_, agrupar, _| {
        assert_eq!(agrupar, [Agrupamento::Atividade, Agrupamento::Usuario]);
        let linha = |usuario: &str, minutos, data| LinhaDeHoras {
            chaves: vec![
                Chave::Atividade(atividade_id(), domain::testing::nome_atividade("Revisar")),
                Chave::Usuario(usuario.to_owned(), usuario.to_owned()),
            ],
            totais: Totais { apontamentos: 2, minutos },
            primeira_data: data,
            ultima_data: data,
        };
        Ok(vec![linha("ana", 90, date!(2026 - 01 - 12)), linha("rui", 20, date!(2026 - 01 - 10))])
    });
    let query = "?organization_name=exemplo&project_id=Portal";
    let get = |path: &str| with_token(TestRequest::get().uri(&format!("{PATH}/work-item/41{path}{query}")));

    let list = list.send(get("")).await;
    let resumo = resumo.send(get("/resumo")).await;
    let azure = test_app().send(get("/azure-info")).await;

    assert_eq!(list.body, r#"{"items":[],"total":1,"total_horas":1.5,"total_formatado":"01:30"}"#);
    assert_json_snapshot!(resumo.json(), @r#"
    {
      "media_horas_por_apontamento": 0.46,
      "por_atividade": [
        {
          "id": "0194f6a0-0000-7000-8000-00000000a001",
          "nome": "Revisar",
          "total_horas": 1.83
        }
      ],
      "por_usuario": [
        {
          "id": "ana",
          "nome": "ana",
          "total_horas": 1.5
        },
        {
          "id": "rui",
          "nome": "rui",
          "total_horas": 0.33
        }
      ],
      "primeira_data": "2026-01-10",
      "total_apontamentos": 4,
      "total_formatado": "01:50",
      "total_horas": 1.83,
      "ultima_data": "2026-01-12",
      "work_item_id": 41
    }
    "#);
    assert_eq!(azure.body, r#"{"originalEstimate":8.0,"remainingWork":5.5,"completedWork":2.5}"#);
}

#[actix_web::test]
async fn obter_says_whether_the_hours_are_written() {
    let cases = [
        (Escrita::Desligada, "desligada", None),
        (Escrita::Pendente, "pendente", None),
        (Escrita::Ok, "ok", None),
        (Escrita::Erro(MotivoDoErro::Encerrado), "erro", Some("O work item está encerrado")),
    ];
    for (escrita, estado, motivo) in cases {
        let mut test_app = test_app();
        let stored = Apontamento { escrita, ..apontamento(90) };
        test_app.apontamentos.expect_find().returning(move |_| Ok(Some(stored.clone())));

        let body = test_app.send(with_token(TestRequest::get().uri(&uri()))).await.json();

        assert_eq!(body["sincronizacao"], estado);
        assert_eq!(body.get("sincronizacao_motivo").and_then(Value::as_str), motivo);
    }
}

#[actix_web::test]
async fn listar_with_an_unknown_sincronizacao_is_invalid() {
    let request = TestRequest::get().uri("/api/v1/apontamentos?sincronizacao=talvez");

    let response = test_app().send(with_token(request)).await;

    assert_eq!(response.errors(), [("value_error".to_owned(), json!(["query", "sincronizacao"]))]);
}
