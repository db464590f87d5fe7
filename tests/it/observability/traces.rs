//! Traces: the context of the W3C in and out, and spans for a collector, which is here a receiver of OTLP.

use std::collections::HashMap;

use e2e::client::send;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;
use reqwest::Method;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{EMAIL, TOKEN, TRACE, TRACEPARENT, production};

async fn receiver() -> MockServer {
    let receiver = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/traces"))
        .and(header("content-type", "application/x-protobuf"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&receiver)
        .await;
    receiver
}

/// What the receiver has: the name of the service, and its spans.
async fn received(receiver: &MockServer) -> (Option<String>, Vec<Span>) {
    let mut service = None;
    let mut spans = Vec::new();
    for request in receiver.received_requests().await.unwrap() {
        let text = String::from_utf8_lossy(&request.body);
        assert!(!text.contains(TOKEN) && !text.contains(EMAIL), "{text}");
        for resource in ExportTraceServiceRequest::decode(&*request.body).unwrap().resource_spans {
            for attribute in resource.resource.into_iter().flat_map(|resource| resource.attributes) {
                if attribute.key == "service.name" {
                    service = attribute.value.and_then(|value| text_of(value.value));
                }
            }
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    (service, spans)
}

fn text_of(value: Option<Value>) -> Option<String> {
    match value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn attributes(span: &Span) -> HashMap<String, String> {
    let pairs = span.attributes.iter().cloned();
    pairs.filter_map(|pair| Some((pair.key, text_of(pair.value?.value)?))).collect()
}

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is not among {names:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test]
async fn request_queries_and_calls_are_one_trace() {
    let receiver = receiver().await;
    let (organisation, _, mut aponta) =
        production(|program| program.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.uri())).await;
    let projeto = organisation.add_project("Portal");
    let create = aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(TOKEN);
    let create = create.header("traceparent", TRACEPARENT).json(&json!({"nome": "A", "id_projeto": projeto}));
    let _ = send(create).await.expect(201);
    // Not recorded, says who began it.
    let silent = TRACEPARENT.replace("-01", "-00").replace(TRACE, &TRACE.replace('0', "1"));
    let _ = send(aponta.api.request(Method::GET, "/healthz").header("traceparent", &silent)).await.expect(200);
    aponta.server.terminate();
    assert!(aponta.server.wait().success());

    let (service, spans) = received(&receiver).await;
    assert_eq!(service.as_deref(), Some("aponta"));
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "the silent trace was recorded");
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"));
    let server = named("POST /api/v1/atividades");
    assert_eq!((hex(&server.parent_span_id), server.kind()), ("b7ad6b7169203331".to_owned(), SpanKind::Server));
    let attributes = attributes(server);
    assert_eq!(attributes["http.route"], "/api/v1/atividades");
    assert_eq!((&*attributes["http.response.status_code"], &*attributes["client.address"]), ("201", "127.0.0.1"));
    assert!(spans.iter().all(|span| span.events.is_empty()), "log lines are not for the collector");

    for name in ["GET /_apis/connectionData", "GET /_apis/projects/{id}", "atividades.insert", "projetos.store_remote"]
    {
        let span = named(name);
        assert_eq!((&span.parent_span_id, span.kind()), (&server.span_id, SpanKind::Client), "{name}");
        assert!(server.start_time_unix_nano <= span.start_time_unix_nano, "{name}");
        assert!(span.end_time_unix_nano <= server.end_time_unix_nano, "{name}");
    }
    let call = named("GET /_apis/connectionData");
    let headers = organisation.headers("connectionData", "traceparent").await;
    assert_eq!(headers, [format!("00-{TRACE}-{}-01", hex(&call.span_id))]);
}

#[tokio::test]
async fn failure_marks_its_span() {
    let receiver = receiver().await;
    let (organisation, _, mut aponta) =
        production(|program| program.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.uri())).await;
    organisation.respond_with(e2e::azure::Endpoint::Identity, ResponseTemplate::new(500));
    send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(TOKEN)).await;
    aponta.server.terminate();
    assert!(aponta.server.wait().success());

    let (_, spans) = received(&receiver).await;
    for name in ["GET /api/v1/projetos", "GET /_apis/connectionData"] {
        let span = find(&spans, name);
        assert_eq!(span.status.as_ref().map(Status::code), Some(StatusCode::Error), "{name}");
        assert!(!span.trace_id.is_empty());
    }
}

#[tokio::test]
async fn trace_context_is_propagated_without_a_collector() {
    let (organisation, _, aponta) = production(|program| program).await;
    let list = || aponta.api.request(Method::GET, "/api/v1/integracao/projetos").bearer_auth(TOKEN);
    let _ = send(list().header("traceparent", TRACEPARENT)).await.expect(200);
    let _ = send(list().header("traceparent", "lixo")).await.expect(200);

    let headers = organisation.headers("/_apis/", "traceparent").await;
    let traces: Vec<_> = headers.iter().map(|headers| headers.split('-').nth(1).unwrap()).collect();
    assert_eq!(traces.len(), 3, "{headers:?}");
    assert_eq!(traces[..2], [TRACE, TRACE]);
    assert!(traces[2] != TRACE && traces[2].len() == 32, "{headers:?}");
    assert!(
        headers.iter().all(|headers| !headers.contains("b7ad6b7169203331")),
        "a call has a place of its own: {headers:?}"
    );
    aponta.server.wait_for_log(traces[2]);
}

#[tokio::test]
async fn unreachable_collector_delays_no_request() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, _, mut aponta) =
        production(|program| program.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{gone}"))).await;
    let _ = aponta.api.get("/health").await.expect(200);
    aponta.server.terminate();
    assert!(aponta.server.wait().success());
}
