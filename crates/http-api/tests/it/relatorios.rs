use actix_web::test::TestRequest;
use domain::testing::maria;
use domain::{Chave, LinhaDeHoras, RefusalReason, Totais, WorkItemId};
use serde_json::json;
use time::macros::date;

use crate::apontamentos::{test_app, with_token};

fn line(chaves: Vec<Chave>, minutos: u64) -> LinhaDeHoras {
    let dia = date!(2026 - 12 - 31);
    LinhaDeHoras { chaves, totais: Totais { apontamentos: 1, minutos }, primeira_data: dia, ultima_data: dia }
}

#[actix_web::test]
async fn relatorio_names_its_keys_in_json_and_csv() {
    let lines = || {
        let mes = Chave::Mes(date!(2026 - 12 - 01));
        let semana = Chave::Semana(date!(2026 - 12 - 28));
        let item = Chave::WorkItem(WorkItemId::new(41).unwrap(), None);
        vec![line(vec![mes, semana, item], 6100)]
    };
    let uri = "/api/v1/relatorios/horas?de=2026-12-01&ate=2026-12-31&agrupar=mes,semana,work_item";
    let app = || {
        let mut test_app = test_app();
        test_app.apontamentos.expect_report().returning(move |_, _, _| Ok(lines()));
        test_app
    };

    let json = app().send(with_token(TestRequest::get().uri(uri))).await;
    let csv = app().send(with_token(TestRequest::get().uri(&format!("{uri}&formato=csv&separador=;")))).await;

    let expected = json!({
        "linhas": [{
            "mes": {"id": "2026-12", "nome": "dezembro de 2026"},
            "semana": {"id": "2026-W53", "nome": "28/12 - 03/01"},
            "work_item": {"id": 41, "nome": null},
            "minutos": 6100, "total_formatado": "101:40", "apontamentos": 1,
        }],
        "total_minutos": 6100, "total_formatado": "101:40",
    });
    assert_eq!(json.json(), expected);
    let text = "mes;semana;work_item;work_item_id;duracao;horas;minutos;apontamentos\r\n2026-12;2026-W53;;41;101:40;101,67;6100;1\r\n";
    assert_eq!(csv.body, text);
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"horas.csv\""));
}

#[actix_web::test]
async fn relatorio_parameters_are_validated() {
    let cases = [
        ("", vec![("missing", "de"), ("missing", "ate"), ("missing", "agrupar")]),
        (
            "de=2026-02-30&ate=x&agrupar=",
            vec![("date_parsing", "de"), ("date_parsing", "ate"), ("value_error", "agrupar")],
        ),
        ("de=2026-01-01&ate=2026-01-01&agrupar=dia,dia", vec![("value_error", "agrupar")]),
        ("de=2026-01-01&ate=2026-01-01&agrupar=dia,mes,semana,usuario", vec![("value_error", "agrupar")]),
        (
            "de=2026-01-01&ate=2026-01-01&agrupar=dia&usuario=%00&work_item_id=a",
            vec![("value_error", "usuario"), ("int_parsing", "work_item_id")],
        ),
    ];
    for (query, expected) in cases {
        let uri = format!("/api/v1/relatorios/horas?{query}");

        let response = test_app().send(with_token(TestRequest::get().uri(&uri))).await;

        let expected: Vec<_> =
            expected.into_iter().map(|(code, field)| (code.to_owned(), json!(["query", field]))).collect();
        assert_eq!(response.errors(), expected, "{query}");
    }
}

#[actix_web::test]
async fn relatorio_with_too_many_lines_returns_400() {
    let mut test_app = test_app();
    test_app.apontamentos.expect_report().returning(|_, _, max| Err(RefusalReason::TooManyLines { max }.into()));
    let uri = "/api/v1/relatorios/horas?de=2026-01-01&ate=2026-12-31&agrupar=usuario,dia";

    let response = test_app.send(with_token(TestRequest::get().uri(uri))).await;

    let text = "O relatório teria mais de 10000 linhas: escolha um período menor, outro agrupamento ou um filtro";
    assert_eq!(response.error(), (400, text.to_owned()));
}

#[actix_web::test]
async fn user_is_the_verified_caller() {
    let response = test_app().send(with_token(TestRequest::get().uri("/api/v1/user"))).await;

    let expected = json!({
        "id": maria().usuario.id, "displayName": "Maria Souza", "emailAddress": "maria@exemplo.br", "avatarUrl": null,
    });
    assert_eq!(response.json(), expected);
}
