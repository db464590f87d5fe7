//! Whole requests through the whole application, with neither a socket nor a database: what routing, middleware, reading
//! and writing JSON cost together. The log is off.
#![allow(missing_docs, reason = "criterion makes a public function of a group")]
#![allow(clippy::expect_used, reason = "a benchmark fails by a panic, as a test does")]

use std::hint::black_box;
use std::sync::Arc;

use actix_web::Error;
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::rt::System;
use actix_web::test::{TestRequest, init_service};
use async_trait::async_trait;
use criterion::{Criterion, criterion_group, criterion_main};
use domain::testing::{atividade, fixed_clock, stored};
use domain::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Batch, Idempotency,
    MockApontamentoRepository, MockProjetoRepository, MockReadiness, Page,
};
use http_api::{AppState, DevelopmentIdentity, NoOrganisation, Ports, ServiceInfo, app};
use time::OffsetDateTime;

/// Has the same atividade wherever one looks, and any number of them.
struct Memory(Atividade);

#[async_trait]
impl AtividadeRepository for Memory {
    async fn insert(&self, record: AtividadeRecord) -> Result<Atividade, domain::Error> {
        Ok(stored(record))
    }

    async fn insert_all(
        &self,
        records: Vec<AtividadeRecord>,
        _: Option<Idempotency>,
    ) -> Result<Vec<Atividade>, domain::Error> {
        Ok(records.into_iter().map(stored).collect())
    }

    async fn find(&self, _: AtividadeId) -> Result<Option<Atividade>, domain::Error> {
        Ok(Some(self.0.clone()))
    }

    async fn list(&self, query: AtividadeQuery) -> Result<Page<Atividade>, domain::Error> {
        let items = self.list_items(query).await?.items;
        Ok(Page { total: 1_000_000, items, last: None })
    }

    async fn list_items(&self, query: AtividadeQuery) -> Result<Batch<Atividade>, domain::Error> {
        let limit = usize::try_from(query.limit.get()).map_err(domain::Error::internal)?;
        Ok(vec![self.0.clone(); limit].into())
    }

    async fn update(
        &self,
        _: AtividadeId,
        _: AtividadePatch,
        _: OffsetDateTime,
    ) -> Result<Option<Atividade>, domain::Error> {
        Ok(Some(self.0.clone()))
    }

    async fn delete(&self, _: AtividadeId, _: Option<OffsetDateTime>) -> Result<bool, domain::Error> {
        Ok(true)
    }
}

async fn service() -> impl Service<actix_http::Request, Response = ServiceResponse<BoxBody>, Error = Error> {
    let ports = Ports {
        apontamentos: Arc::new(MockApontamentoRepository::new()),
        atividades: Arc::new(Memory(atividade("Revisão nº 42 do contrato"))),
        projetos: Arc::new(MockProjetoRepository::new()),
        readiness: Arc::new(MockReadiness::new()),
        identity: Arc::new(DevelopmentIdentity),
        directory: Arc::new(NoOrganisation),
        work_items: Arc::new(NoOrganisation),
        write_back: None,
        organizacao: None,
        service_credential: None,
        clock: fixed_clock(),
    };
    init_service(app(&AppState::new(ports, ServiceInfo::new("production"), Vec::new()))).await
}

fn requests(criterion: &mut Criterion) {
    let system = System::new();
    let service = system.block_on(service());
    let good =
        r#"{"nome": "Revisar", "descricao": "Com o jurídico", "id_projeto": "0194f6a0-0000-7000-8000-00000000b001"}"#;
    let bad = r#"{"nome": " ", "ativo": "true", "id_projeto": "x"}"#;
    let list = "/api/v1/atividades";
    let mut group = criterion.benchmark_group("requests");
    for (name, method, path, body, expected) in [
        ("healthz", Method::GET, "/healthz", "", StatusCode::OK),
        ("by id", Method::GET, "/api/v1/atividades/0194f6a0-0000-7000-8000-00000000a001", "", StatusCode::OK),
        ("page of 50", Method::GET, "/api/v1/atividades?limit=50", "", StatusCode::OK),
        ("page of 1,000", Method::GET, "/api/v1/atividades?limit=1000", "", StatusCode::OK),
        ("page of 50 by cursor", Method::GET, "/api/v1/atividades?limit=50&apos=", "", StatusCode::OK),
        ("create", Method::POST, list, good, StatusCode::CREATED),
        ("create with faults", Method::POST, list, bad, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let once = async || {
            let request = TestRequest::with_uri(path).method(method.clone());
            let request = if body.is_empty() { request } else { request.set_payload(body) };
            let response = service.call(request.to_request()).await.expect("a response");
            (response.status(), to_bytes(response.into_body()).await.map(|body| body.len()).ok())
        };
        assert_eq!(system.block_on(once()).0, expected, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| black_box(system.block_on(once()))));
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
