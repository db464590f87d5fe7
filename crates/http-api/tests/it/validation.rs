use actix_web::test::TestRequest;
use domain::testing::{atividade_id, projeto_id, stored};
use serde_json::{Value, json};

use crate::support::{Response, TestApp};

async fn post(body: impl Into<Vec<u8>>) -> Response {
    let request = TestRequest::post().uri("/api/v1/atividades").insert_header(("content-type", "application/json"));
    TestApp::new().send(request.set_payload(body.into())).await
}

fn errors(expected: &[(&str, Value)]) -> Vec<(String, Value)> {
    expected.iter().map(|(code, loc)| ((*code).to_owned(), loc.clone())).collect()
}

#[actix_web::test]
async fn body_with_several_errors_reports_all_in_field_order() {
    let response = post(r#"{"ativo":"sim","descricao":1,"nome":" \t"}"#).await;

    let expected = [
        ("string_too_short", json!(["body", "nome"])),
        ("string_type", json!(["body", "descricao"])),
        ("bool_parsing", json!(["body", "ativo"])),
        ("missing", json!(["body", "id_projeto"])),
    ];
    assert_eq!(response.errors(), errors(&expected));
    assert_eq!(response.json()["detail"][0]["ctx"], json!({"min_length": 1}));
    assert_eq!(response.json()["detail"][1].get("ctx"), None);
    assert_eq!(
        response.json()["message"],
        "nome: Deve ter no mínimo 1 caractere; descricao: Deve ser um texto; \
         ativo: Não é um booleano válido: use true ou false; id_projeto: Campo obrigatório"
    );
}

#[actix_web::test]
async fn path_and_body_errors_are_reported_together() {
    let request = TestRequest::put().uri("/api/v1/atividades/1").set_json(json!({"nome": null, "ativo": null}));

    let response = TestApp::new().send(request).await;

    let expected = [
        ("uuid_parsing", json!(["path", "atividade_id"])),
        ("string_type", json!(["body", "nome"])),
        ("bool_type", json!(["body", "ativo"])),
    ];
    assert_eq!(response.errors(), errors(&expected));
}

#[actix_web::test]
async fn invalid_value_returns_its_error_type() {
    let cases = [
        (json!({"nome": "é".repeat(256)}), "string_too_long", "nome"),
        (json!({"nome": ""}), "string_too_short", "nome"),
        (json!({"nome": "a\0"}), "value_error", "nome"),
        (json!({"nome": "a\u{1b}b"}), "value_error", "nome"),
        (json!({"descricao": "a\u{7f}"}), "value_error", "descricao"),
        (json!({"descricao": []}), "string_type", "descricao"),
        (json!({"nome": ["a"]}), "string_type", "nome"),
        (json!({"nome": 123_456_789_012_345_678_901_234_567_890_f64}), "string_type", "nome"),
        (json!({"descricao": "é".repeat(32 * 1024) + "a"}), "string_too_long", "descricao"),
        (json!({"ativo": null}), "bool_type", "ativo"),
        (json!({"ativo": []}), "bool_type", "ativo"),
        (json!({"ativo": {}}), "bool_type", "ativo"),
        (json!({"ativo": 2}), "bool_parsing", "ativo"),
        (json!({"ativo": -1}), "bool_parsing", "ativo"),
        (json!({"ativo": 0.5}), "bool_parsing", "ativo"),
        (json!({"ativo": ""}), "bool_parsing", "ativo"),
        (json!({"ativo": " true"}), "bool_parsing", "ativo"),
        (json!({"ativo": "sim"}), "bool_parsing", "ativo"),
        (json!({"id_projeto": "1"}), "uuid_parsing", "id_projeto"),
        (json!({"id_projeto": 1}), "uuid_type", "id_projeto"),
        (json!({"id_projeto": null}), "uuid_type", "id_projeto"),
    ];
    for (change, code, field) in cases {
        let mut body = json!({"nome": "A", "id_projeto": projeto_id().0});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());

        assert_eq!(post(body.to_string()).await.errors(), errors(&[(code, json!(["body", field]))]), "{change}");
    }
}

#[actix_web::test]
async fn boolean_in_each_notation_of_pydantic_is_accepted() {
    let (yes, no) = (["true", "T", "yes", "Y", "on", "1"], ["false", "f", "No", "n", "OFF", "0"]);
    let texts = yes.map(|text| (json!(text), true)).into_iter().chain(no.map(|text| (json!(text), false)));
    let numbers = [(json!(1), true), (json!(0), false), (json!(1.0), true), (json!(0.0), false)];
    for (value, expected) in texts.chain(numbers).chain([(json!(true), true), (json!(false), false)]) {
        let mut test_app = TestApp::new();
        test_app.atividades.expect_insert().returning(|record| Ok(stored(record)));
        let body = json!({"nome": "A", "id_projeto": projeto_id().0, "ativo": value});

        let response = test_app.send(TestRequest::post().uri("/api/v1/atividades").set_json(body)).await;

        assert_eq!((response.status.as_u16(), &response.json()["ativo"]), (201, &json!(expected)), "{value}");
    }
}

#[actix_web::test]
async fn body_that_is_no_object_returns_one_error() {
    let cases: [(&[u8], &str, Value); 11] = [
        (b"", "missing", json!(["body"])),
        (b" ", "missing", json!(["body"])),
        (b"null", "missing", json!(["body"])),
        (b"[]", "model_attributes_type", json!(["body"])),
        (b"\"a\"", "model_attributes_type", json!(["body"])),
        (b"{", "json_invalid", json!(["body", 1])),
        (b"nonsense", "json_invalid", json!(["body", 1])),
        (b"{\"nome\": }", "json_invalid", json!(["body", 9])),
        (b"{\"nome\": \"\\ud800\"}", "json_invalid", json!(["body", 16])),
        (b"{\"nome\": \"\xff\"}", "json_invalid", json!(["body", 10])),
        (b"{\"nome\": 1e999}", "json_invalid", json!(["body", 13])),
    ];
    for (body, code, loc) in cases {
        assert_eq!(post(body).await.errors(), errors(&[(code, loc)]), "{:?}", String::from_utf8_lossy(body));
    }
    assert_eq!(post("[".repeat(10_000)).await.errors()[0].0, "json_invalid");
}

#[actix_web::test]
async fn body_with_too_many_values_returns_one_error() {
    let value = |text: &str| text.repeat(1024 * 1024 / text.len());
    for body in [
        value("["),
        value(r#"{"a":"#),
        format!("[{}0]", "{},".repeat(300_000)),
        format!(r#"{{"x":[{}0]}}"#, "0,".repeat(500_000)),
    ] {
        assert_eq!(post(body).await.errors(), errors(&[("value_error", json!(["body"]))]));
    }
}

#[actix_web::test]
async fn malformed_parameter_returns_422_at_its_name() {
    let uri = "/api/v1/atividades?ativo=talvez&q=%FF&id_projeto=%ED%A0%80&apos=%&nada=%FF&skip=-1&%FF=1";

    let response = TestApp::new().send(TestRequest::get().uri(uri)).await;

    let expected = [
        ("greater_than_equal", json!(["query", "skip"])),
        ("bool_parsing", json!(["query", "ativo"])),
        ("value_error", json!(["query", "id_projeto"])),
        ("value_error", json!(["query", "q"])),
        ("value_error", json!(["query", "apos"])),
    ];
    assert_eq!(response.errors(), errors(&expected));
}

#[actix_web::test]
async fn malformed_unknown_parameter_is_ignored_and_the_last_value_counts() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list().returning(|_| Ok(domain::Page { items: vec![], total: 0, last: None }));

    let response = test_app.send(TestRequest::get().uri("/api/v1/atividades?nada=%FF&%zz&q=%FF&q=a+b&&=")).await;

    assert_eq!(response.status, 200, "{}", response.body);
}

#[actix_web::test]
async fn query_with_several_errors_reports_all() {
    let uri = "/api/v1/atividades?limit=1001&skip=-1&id_projeto=x&ativo=talvez";

    let response = TestApp::new().send(TestRequest::get().uri(uri)).await;

    let expected = [
        ("greater_than_equal", json!(["query", "skip"])),
        ("less_than_equal", json!(["query", "limit"])),
        ("bool_parsing", json!(["query", "ativo"])),
        ("uuid_parsing", json!(["query", "id_projeto"])),
    ];
    assert_eq!(response.errors(), errors(&expected));
    assert_eq!(response.json()["detail"][0]["ctx"], json!({"ge": 0}));
    assert_eq!(response.json()["detail"][1]["ctx"], json!({"le": 1000}));
}

#[actix_web::test]
async fn query_integer_beyond_64_bits_returns_422() {
    for value in ["", "a", "1.5", "1e3", "9223372036854775808", "-9223372036854775809", "0x10"] {
        let uri = format!("/api/v1/atividades?skip={value}");

        let response = TestApp::new().send(TestRequest::get().uri(&uri)).await;

        assert_eq!(response.errors(), errors(&[("int_parsing", json!(["query", "skip"]))]), "{value:?}");
    }
}

#[actix_web::test]
async fn invalid_id_returns_422_at_path() {
    for (path, name) in [("atividades", "atividade_id"), ("projetos", "projeto_id")] {
        for request in [TestRequest::get(), TestRequest::delete()] {
            let response = TestApp::new().send(request.uri(&format!("/api/v1/{path}/1"))).await;

            assert_eq!(response.errors(), errors(&[("uuid_parsing", json!(["path", name]))]));
        }
    }
}

#[actix_web::test]
async fn body_of_wrong_type_encoding_or_size_is_rejected() {
    let uri = format!("/api/v1/atividades/{}", atividade_id().0);
    let cases = [
        (vec![("content-type", "text/plain")], 2, 415),
        (vec![("content-type", "application/x-www-form-urlencoded")], 2, 415),
        (vec![("content-type", "multipart/form-data; boundary=x")], 2, 415),
        (vec![("content-type", "nonsense")], 2, 415),
        (vec![("content-type", "application/json"), ("content-encoding", "gzip")], 2, 415),
        (vec![("content-type", "application/json")], 1024 * 1024 + 1, 413),
    ];
    for (headers, size, status) in cases {
        let mut request = TestRequest::put().uri(&uri).set_payload(vec![b' '; size]);
        for header in headers {
            request = request.insert_header(header);
        }

        assert_eq!(TestApp::new().send(request).await.error().0, status);
    }
    let largest = TestRequest::put().uri(&uri).set_payload(vec![b' '; 1024 * 1024]);
    assert_eq!(TestApp::new().send(largest).await.errors(), errors(&[("missing", json!(["body"]))]));
}

#[actix_web::test]
async fn control_characters_in_texts_are_rejected() {
    for character in ["\\u0001", "\\u001b", "\\u007f", "\\u0085"] {
        let text = format!("a{character}b");
        let id = projeto_id().0;
        let atividade = post(format!(r#"{{"nome":"{text}","descricao":"{text}","id_projeto":"{id}"}}"#)).await;
        let projeto = TestRequest::post().uri("/api/v1/projetos").insert_header(("content-type", "application/json"));
        let projeto = TestApp::new().send(projeto.set_payload(format!(r#"{{"nome":"{text}"}}"#))).await;
        let entry = TestRequest::post().uri("/api/v1/apontamentos").insert_header(("content-type", "application/json"));
        let body = format!(
            r#"{{"work_item_id":41,"duracao":"1:30","data_apontamento":"2026-01-12","comentario":"{text}",
                "id_atividade":"{id}","organization_name":"exemplo","project_id":"{id}"}}"#
        );
        let entry = TestApp::new().send(entry.set_payload(body)).await;

        let at = |field| ("value_error", json!(["body", field]));
        assert_eq!(atividade.errors(), errors(&[at("nome"), at("descricao")]), "{character}");
        assert_eq!(projeto.errors(), errors(&[at("nome")]), "{character}");
        assert_eq!(entry.errors(), errors(&[at("comentario")]), "{character}");
    }
}

/// Each operation of the document that names an organisation, so that a new one cannot say the wrong place.
#[actix_web::test]
async fn refused_organisation_is_reported_where_the_operation_has_it() {
    let document = TestApp::new().send(TestRequest::get().uri("/openapi.json")).await.json();
    let mut checked = 0;
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.iter().any(|parameter| parameter["name"] == "organization_name") {
                continue;
            }
            assert_eq!(method, "get", "{template}: this test has no body for it");
            let path = template.replace("{work_item_id}", "1").replace("{iteration_id}", &projeto_id().0.to_string());
            let query = "organization_name=outra&project_id=Portal&week_start=2026-01-12&query=ab";

            let response = TestApp::new().send(TestRequest::get().uri(&format!("{path}?{query}"))).await;

            assert_eq!(response.error().0, 400, "{template}");
            let errors = &response.json()["errors"];
            assert_eq!(errors.as_array().unwrap().len(), 1, "{template}");
            assert_eq!(errors[0]["loc"], json!(["query", "organization_name"]), "{template}");
            checked += 1;
        }
    }
    assert!(8 <= checked, "only {checked} operations");
}
