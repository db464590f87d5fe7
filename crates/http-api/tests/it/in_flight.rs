use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::body::{BodySize, BoxBody, MessageBody, to_bytes};
use actix_web::dev::Service;
use actix_web::http::Method;
use actix_web::test::{TestRequest, init_service};
use domain::testing::{apontamento, atividade, nome_projeto, stored};
use domain::{Apontamento, Atividade, Batch, Chave, Comentario, Cursor, Descricao, LinhaDeHoras, Ordem, Page, Totais};
use http_api::{AppState, app};
use serde_json::json;
use time::macros::date;

use crate::support::{ByToken, TestApp, get, send};

const LIST: &str = "/api/v1/atividades";

fn large() -> Atividade {
    let descricao = Descricao::from_stored("\u{1}".repeat(Descricao::MAX_BYTES)).unwrap();
    Atividade { descricao: Some(descricao), ..atividade("A") }
}

/// A page whose second half does not fit, without end.
fn state() -> AppState {
    let mut test_app = TestApp { identity: std::sync::Arc::new(ByToken), ..TestApp::new() };
    let last = || Some(Cursor::of(&atividade("Z"), Ordem::default()));
    test_app.atividades.expect_list().returning(move |_| Ok(Page { items: vec![large()], total: 2, last: last() }));
    test_app.atividades.expect_list_items().returning(move |_| Ok(Batch { items: vec![large()], last: last() }));
    test_app.atividades.expect_find().returning(|_| Ok(Some(large())));
    test_app.atividades.expect_insert().returning(|record| Ok(stored(record)));
    test_app.atividades.expect_update().returning(|_, _, _| Ok(Some(large())));
    test_app.state()
}

/// The numbers of the gauge and of the counter.
fn figures(state: &AppState) -> (u64, u64) {
    let mut registry = prometheus_client::registry::Registry::default();
    state.metrics().register(&mut registry);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    let figure = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    (figure("aponta_in_flight_bytes "), figure("aponta_in_flight_refusals_total "))
}

/// Repeats a request until it is rejected, and keeps the bodies of the responses before.
async fn until_rejected(state: &AppState, request: impl Fn() -> TestRequest) -> (Vec<BoxBody>, Option<String>) {
    let service = init_service(app(state)).await;
    let mut bodies = Vec::new();
    loop {
        let response = service.call(request().to_request()).await.unwrap().into_parts().1;
        if response.status() != 200 {
            assert_eq!(response.status(), 503);
            let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            return (bodies, retry_after);
        }
        bodies.push(response.into_body());
        assert!(bodies.len() < 1000, "no request is refused");
    }
}

#[actix_web::test]
async fn unsent_streams_are_limited_per_user() {
    for uri in [LIST.to_owned(), format!("{LIST}?apos="), format!("{LIST}?formato=csv")] {
        // A stream holds 1.5 MiB, an encoder 384 KiB.
        for (accepted, most) in [("identity", 13), ("gzip", 10), ("br", 13)] {
            let state = state();
            let request = |user: &str| get(&uri, user).insert_header(("Accept-Encoding", accepted));

            let (bodies, retry_after) = until_rejected(&state, || request("ana")).await;

            assert!(bodies.iter().all(|body| body.size() == BodySize::Stream));
            assert_eq!((bodies.len(), retry_after.as_deref()), (most, Some("5")), "{uri} {accepted}");
            let (held, rejections) = figures(&state);
            assert!((18 << 20..=20 << 20).contains(&held) && 1 <= rejections, "{held} {rejections}");
            let (others, _) = until_rejected(&state, || request("bia")).await;
            assert_eq!(others.len(), most, "{uri} {accepted}");

            let refused = send(&state, request("ana")).await;
            let error: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
            assert_eq!(error["detail"], "Requisições ou respostas demais em andamento; tente novamente em instantes");
            drop((bodies, others));
            assert_eq!(figures(&state).0, 0);
            assert!(!until_rejected(&state, || request("ana")).await.0.is_empty());
        }
    }
}

#[actix_web::test]
async fn unsent_bodies_count_their_size_unless_small() {
    let state = state();
    let id = domain::testing::atividade_id().0;

    let (bodies, _) = until_rejected(&state, || get(&format!("{LIST}/{id}"), "ana")).await;

    // 64 KiB of control characters are 384 KiB of JSON.
    let BodySize::Sized(size) = bodies[0].size() else { panic!("not sized") };
    assert!(384 << 10 < size && bodies.len() as u64 == (20 << 20) / size, "{size} {}", bodies.len());
    assert_eq!(figures(&state).0, size * bodies.len() as u64);
    let small = send(&state, get("/api/v1/atividades/x", "ana")).await;
    assert_eq!(small.status, 422);
}

#[actix_web::test]
async fn completed_write_is_never_rejected_for_memory() {
    let state = state();
    let uri = format!("{LIST}/{}", domain::testing::atividade_id().0);
    let put = || {
        let request = TestRequest::default().method(Method::PUT).uri(&uri).set_json(json!({"ativo": true}));
        request.insert_header(("Authorization", "Bearer ana"))
    };
    let service = init_service(app(&state)).await;
    let mut bodies = Vec::new();
    for _ in 0..53 {
        let response = service.call(put().to_request()).await.unwrap().into_parts().1;
        assert_eq!(response.status(), 200);
        bodies.push(response.into_body());
    }

    // It waits, and there is no room in the end.
    let refused = service.call(put().to_request()).await.unwrap();

    assert_eq!(refused.status(), 503);
}

/// The rows name projetos, so their size says nothing about that of the response.
#[actix_web::test]
async fn lote_reserves_its_response_before_anything_is_stored() {
    let ids: Vec<_> = (1..=100).map(uuid::Uuid::from_u128).collect();
    let stored_items = std::sync::Arc::new(AtomicUsize::new(0));
    let mut test_app = TestApp { identity: std::sync::Arc::new(ByToken), ..TestApp::new() };
    let count = std::sync::Arc::clone(&stored_items);
    let name = |id| domain::ProjetoDaAtividade { id, nome: nome_projeto(&"\u{1F600}".repeat(255)) };
    test_app.atividades.expect_insert_all().returning(move |records, _| {
        count.fetch_add(records.len(), Ordering::SeqCst);
        let with_names = |record: domain::AtividadeRecord| {
            let others = record.projetos.others().iter().map(|id| name(domain::ProjetoId(id.0))).collect();
            Atividade { outros_projetos: others, ..stored(record) }
        };
        Ok(records.into_iter().map(with_names).collect())
    });
    let state = test_app.state();
    let post = || {
        let items = vec![json!({"nome": "A", "ids_projetos": ids}); 50];
        let request = TestRequest::post().uri("/api/v1/atividades/lote").set_json(json!({"items": items}));
        request.insert_header(("Authorization", "Bearer ana"))
    };
    let service = init_service(app(&state)).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let response = service.call(post().to_request()).await.unwrap().into_parts().1;
        assert_eq!(response.status(), 201);
        bodies.push(response.into_body());
    }
    let BodySize::Sized(size) = bodies[0].size() else { panic!("not sized") };
    assert!(5000 * 1020 < size && figures(&state).0 == 3 * size, "{size}");

    let refused = service.call(post().to_request()).await.unwrap();

    assert_eq!((refused.status().as_u16(), stored_items.load(Ordering::SeqCst)), (503, 150));
}

/// Returns a report of so many lines with names of 100 characters.
fn report(lines: usize) -> Vec<LinhaDeHoras> {
    let line = |n| LinhaDeHoras {
        chaves: vec![Chave::Usuario(format!("{n}"), "a".repeat(100))],
        totais: Totais { apontamentos: 1, minutos: 60 },
        primeira_data: date!(2026 - 01 - 12),
        ultima_data: date!(2026 - 01 - 12),
    };
    (0..lines).map(line).collect()
}

#[actix_web::test]
async fn report_reserves_its_lines_until_they_are_sent() {
    let report_uri = "/api/v1/relatorios/horas?de=2026-01-01&ate=2026-01-31&agrupar=usuario";
    let csv = format!("{report_uri}&formato=csv");
    let resumo = "/api/v1/apontamentos/work-item/41/resumo";
    for (uri, lines, held) in
        [(report_uri, 10_000, 8 << 20), (report_uri, 10, 0), (csv.as_str(), 10_000, 8 << 20), (resumo, 10, 0)]
    {
        let mut test_app = TestApp { identity: std::sync::Arc::new(ByToken), ..TestApp::new() };
        let calls = std::sync::Arc::new(AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&calls);
        test_app.apontamentos.expect_report().returning(move |_, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(report(lines))
        });
        let state = test_app.state();
        let service = init_service(app(&state)).await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let response = service.call(get(uri, "ana").to_request()).await.unwrap().into_parts().1;
            assert_eq!(response.status(), 200);
            bodies.push(response.into_body());
        }
        assert_eq!(figures(&state).0, 2 * held, "{uri}");
        if held == 0 {
            continue;
        }

        let refused = service.call(get(uri, "ana").to_request()).await.unwrap();

        assert_eq!((refused.status().as_u16(), calls.load(Ordering::SeqCst)), (503, 2), "nothing is read");
        let Ok(whole) = to_bytes(bodies.remove(0)).await else { panic!("the body was aborted") };
        assert_eq!(whole.windows(100).filter(|text| text.iter().all(|c| *c == b'a')).count(), lines);
        assert_eq!(figures(&state).0, held);
    }
}

/// Returns `count` entries with a comment of so many characters of four bytes.
fn entries_with_comments(count: usize, characters: usize) -> Vec<Apontamento> {
    let comentario = Comentario::parse("\u{1F600}".repeat(characters)).unwrap();
    vec![Apontamento { comentario, ..apontamento(1) }; count]
}

#[actix_web::test]
async fn timesheet_reserves_its_entries_as_they_are_read() {
    let uri = "/api/v1/timesheet?organization_name=exemplo&project_id=Portal&week_start=2026-01-14";
    // The minutes of a week are 10,080, so a week has no more entries.
    for (batches, characters, status) in [(1, 500, 200), (11, 5, 200), (11, 500, 400)] {
        let mut test_app = TestApp { identity: std::sync::Arc::new(ByToken), ..TestApp::new() };
        let read = std::sync::Arc::new(AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&read);
        test_app.apontamentos.expect_list().returning(move |query| {
            let is_last = counted.fetch_add(1, Ordering::SeqCst) + 1 == batches;
            let count = if is_last { 80 } else { usize::try_from(query.limit.get()).unwrap() };
            Ok(entries_with_comments(count, characters).into())
        });
        test_app
            .work_items
            .expect_tree()
            .times(usize::from(status == 200))
            .returning(|_, _| Ok(Ok(domain::WorkItemTree { items: vec![], gaps: vec![] })));
        let state = test_app.state();

        let response = send(&state, get(uri, "ana")).await;

        assert_eq!(response.status, status, "{batches} {characters}");
        assert_eq!(figures(&state), (0, 0));
        assert_eq!(read.load(Ordering::SeqCst) < batches, status == 400, "it reads no more than it may hold");
        if status == 400 {
            let error: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert!(error["detail"].as_str().unwrap().contains("dia a dia, em GET /api/v1/apontamentos"), "{error}");
            assert!(!response.headers.contains_key("retry-after"), "a retry cannot succeed");
        }
    }
}
