//! The limit of concurrent searches per user, over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Service;
use actix_web::test::init_service;
use domain::testing::{apontamento, atividade};
use domain::{Batch, Cursor, Ordem, Page, Totais};
use futures_util::future::join_all;
use http_api::{AppState, app};

use crate::support::{ByToken, TestApp, get, send};

const OF_WORK_ITEM: &str = "/api/v1/apontamentos/work-item/41";
/// Each kind of request whose time grows with the number of rows.
const SEARCHES: [&str; 9] = [
    OF_WORK_ITEM,
    "/api/v1/apontamentos/work-item/41/resumo",
    "/api/v1/apontamentos?total=true",
    "/api/v1/apontamentos?formato=csv&total=true",
    "/api/v1/relatorios/horas?de=2026-01-01&ate=2026-01-31&agrupar=usuario",
    "/api/v1/atividades?q=a",
    "/api/v1/atividades?skip=10000",
    "/api/v1/atividades?q=a&formato=csv",
    "/api/v1/atividades/gestao?q=a",
];

/// Lists without end, in batches of one row. `reads` counts the calls of the repositories.
fn state(reads: &Arc<AtomicUsize>) -> AppState {
    let mut test_app = TestApp { identity: Arc::new(ByToken), ..TestApp::new() };
    let count = || {
        let reads = Arc::clone(reads);
        move || {
            reads.fetch_add(1, Ordering::SeqCst);
        }
    };
    let (listed, totalled, reported, paged) = (count(), count(), count(), count());
    test_app.apontamentos.expect_list().returning(move |_| {
        listed();
        Ok(Batch { items: vec![apontamento(90)], last: Some(Cursor::of(&apontamento(90), ())) })
    });
    test_app.apontamentos.expect_totals().returning(move |_| {
        totalled();
        Ok(Totais { apontamentos: 2, minutos: 180 })
    });
    test_app.apontamentos.expect_report().returning(move |_, _, _| {
        reported();
        Ok(vec![])
    });
    test_app.atividades.expect_list().returning(move |_| {
        paged();
        Ok(Page { items: vec![atividade("A")], total: 1, last: None })
    });
    let (rows, last) = (count(), || Cursor::of(&atividade("A"), Ordem::default()));
    test_app.atividades.expect_list_items().returning(move |_| {
        rows();
        Ok(Batch { items: vec![atividade("A")], last: Some(last()) })
    });
    test_app.state()
}

#[actix_web::test]
async fn unsent_lists_of_a_work_item_leave_their_user_no_other_search() {
    let reads = Arc::new(AtomicUsize::new(0));
    let state = state(&reads);
    let service = init_service(app(&state)).await;
    let mut unsent = Vec::new();
    for _ in 0..2 {
        let response = service.call(get(OF_WORK_ITEM, "ana").to_request()).await.unwrap().into_parts().1;
        assert_eq!((response.status().as_u16(), response.body().size()), (200, BodySize::Stream));
        unsent.push(response.into_body());
    }
    let before = reads.load(Ordering::SeqCst);

    // Each waits for its turn for 5 s.
    let refused = join_all(SEARCHES.map(|uri| service.call(get(uri, "ana").to_request()))).await;

    for (uri, response) in SEARCHES.iter().zip(refused) {
        let response = response.unwrap();
        let retry_after = response.headers().get("retry-after").map(|seconds| seconds.to_str().unwrap());
        assert_eq!((response.status().as_u16(), retry_after), (503, Some("5")), "{uri}");
    }
    assert_eq!(reads.load(Ordering::SeqCst), before, "nothing is read for a request that is refused");
    assert_eq!(send(&state, get("/api/v1/atividades?limit=1", "ana")).await.status, 200, "it is no search");
    for uri in SEARCHES {
        let response = service.call(get(uri, "bia").to_request()).await.unwrap();
        assert_eq!(response.status(), 200, "{uri}");
    }
    drop(unsent.pop());
    for uri in SEARCHES {
        let response = service.call(get(uri, "ana").to_request()).await.unwrap();
        assert_eq!(response.status(), 200, "{uri}");
    }
}
