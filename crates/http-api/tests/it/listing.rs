use actix_web::test::TestRequest;
use domain::testing::{NOW, atividade, atividade_id, nome_projeto, projeto_da_atividade};
use domain::{
    Atividade, AtividadeCampo, AtividadeFiltro, AtividadeQuery, Busca, Cursor, Descricao, Error, Limit, Ordem, Page,
    Service, Skip,
};
use mockall::predicate::{eq, function};
use serde_json::json;

use crate::support::{Response, TestApp};

const LIST: &str = "/api/v1/atividades";
const HEADER: &str = "id,nome,descricao,ativo,id_projeto,nome_projeto,criado_por,criado_em,atualizado_em,projetos\r\n";

/// Returns the response to a query on a list of `total` atividades.
async fn listed(query: &str, total: u64) -> Response {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list().returning(move |_| Ok(Page { items: vec![atividade("A")], total, last: None }));
    test_app.atividades.expect_list_items().returning(|_| Ok(vec![atividade("B")].into()));
    test_app.send(TestRequest::get().uri(&format!("{LIST}?{query}"))).await
}

/// The relations of the `Link` header and where they lead.
fn links(response: &Response) -> Vec<(String, String)> {
    let link = |link: &str| {
        let (target, rel) = link.split_once(">; rel=\"").unwrap();
        (rel.trim_end_matches('"').to_owned(), target.trim_start_matches('<').to_owned())
    };
    response.header("link").unwrap().split(", ").map(link).collect()
}

#[actix_web::test]
async fn listar_passes_q_and_ordem_to_the_repository() {
    for (name, campo, decrescente) in [
        ("criado_em", AtividadeCampo::CriadoEm, false),
        ("-criado_em", AtividadeCampo::CriadoEm, true),
        ("atualizado_em", AtividadeCampo::AtualizadoEm, false),
        ("-atualizado_em", AtividadeCampo::AtualizadoEm, true),
        ("nome", AtividadeCampo::Nome, false),
        ("-nome", AtividadeCampo::Nome, true),
    ] {
        let mut test_app = TestApp::new();
        let filtro = AtividadeFiltro { texto: Some(Busca::parse("Ação %").unwrap()), ..AtividadeFiltro::default() };
        let ordem = Ordem { campo, decrescente };
        let query = AtividadeQuery { filtro, ordem, limit: Limit::LARGEST, ..AtividadeQuery::default() };
        test_app
            .atividades
            .expect_list()
            .with(eq(query))
            .returning(|_| Ok(Page { items: vec![], total: 0, last: None }));

        let uri = format!("{LIST}?q=A%C3%A7%C3%A3o+%25&ordem={name}");
        assert_eq!(test_app.send(TestRequest::get().uri(&uri)).await.status, 200);
    }
}

#[actix_web::test]
async fn listar_invalid_parameters_reports_all_errors() {
    let long = "a".repeat(256);
    let uri = format!("{LIST}?separador=x&bom=x&formato=xml&apos=x&ordem=NOME&q={long}");

    let response = TestApp::new().send(TestRequest::get().uri(&uri)).await;

    let expected = [
        ("string_too_long", "q"),
        ("value_error", "ordem"),
        ("value_error", "apos"),
        ("value_error", "formato"),
        ("bool_parsing", "bom"),
        ("value_error", "separador"),
    ];
    assert_eq!(response.errors(), expected.map(|(code, field)| (code.to_owned(), json!(["query", field]))));
    assert_eq!(
        response.json()["detail"][1]["msg"],
        "Deve ser um destes: criado_em -criado_em atualizado_em -atualizado_em nome -nome"
    );
}

#[actix_web::test]
async fn proximo_is_null_on_the_last_page() {
    let first = listed("apos=&limit=1&ordem=nome", 2).await;
    let proximo = first.json()["proximo"].as_str().unwrap().to_owned();
    let mut test_app = TestApp::new();
    let cursor = Cursor::of(&atividade("A"), Ordem { campo: AtividadeCampo::Nome, decrescente: false });
    test_app
        .atividades
        .expect_list()
        .with(function(move |query: &AtividadeQuery| query.apos.as_ref() == Some(&cursor)))
        .returning(|_| Ok(Page { items: vec![], total: 2, last: None }));

    let uri = format!("{LIST}?apos={proximo}&limit=1&ordem=-nome");
    let last = test_app.send(TestRequest::get().uri(&uri)).await;

    assert_eq!(last.body, r#"{"items":[],"total":2,"proximo":null}"#);
    assert_eq!(links(&last), [("first".to_owned(), format!("{LIST}?limit=1&ordem=-nome&apos="))]);
    assert!(links(&first).contains(&("next".to_owned(), format!("{LIST}?limit=1&ordem=nome&apos={proximo}"))));
}

#[actix_web::test]
async fn full_last_page_has_no_proximo() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list().returning(|_| Ok(Page { items: vec![atividade("A")], total: 1, last: None }));
    test_app.atividades.expect_list_items().returning(|_| Ok(vec![].into()));

    let response = test_app.send(TestRequest::get().uri(&format!("{LIST}?apos=&limit=1"))).await;

    assert_eq!(response.json()["proximo"], json!(null));
}

#[actix_web::test]
async fn cursor_of_another_order_returns_422() {
    let first = listed("apos=&limit=1&ordem=nome", 2).await;
    let proximo = first.json()["proximo"].as_str().unwrap().to_owned();

    let response = listed(&format!("apos={proximo}"), 2).await;

    assert_eq!(response.errors(), [("value_error".to_owned(), json!(["query", "apos"]))]);
}

#[actix_web::test]
async fn links_point_to_other_pages_with_the_same_filters() {
    let page = |rel: &str, skip| (rel.to_owned(), format!("{LIST}?ativo=true&q=%C3%A7+%26&limit=2&skip={skip}"));
    let cases = [
        (0, 5, vec![page("first", 0), page("next", 2), page("last", 4)]),
        (2, 5, vec![page("first", 0), page("prev", 0), page("next", 4), page("last", 4)]),
        (3, 5, vec![page("first", 0), page("prev", 1), page("last", 4)]),
        (900, 5, vec![page("first", 0), page("prev", 4), page("last", 4)]),
        (0, 4, vec![page("first", 0), page("next", 2), page("last", 2)]),
        (0, 0, vec![page("first", 0), page("last", 0)]),
    ];
    for (skip, total, expected) in cases {
        let response = listed(&format!("ativo=true&skip={skip}&q=%C3%A7%20%26&x=1&limit=2"), total).await;
        assert_eq!(links(&response), expected, "skip {skip} of {total}");
    }
    let named = listed("formato=json&limit=1", 2).await;
    assert!(links(&named).contains(&("next".to_owned(), format!("{LIST}?formato=json&limit=1&skip=1"))));
}

#[actix_web::test]
async fn overlong_link_header_is_omitted() {
    let response = listed(&format!("q={}", "%F0%9F%A6%80".repeat(255)), 1).await;

    assert_eq!((response.status.as_u16(), response.header("link")), (200, None));
}

#[actix_web::test]
async fn csv_is_selected_by_parameter_or_accept() {
    for (query, accept, is_csv) in [
        ("?formato=csv", "*/*", true),
        ("?formato=csv", "application/json", true),
        ("", "text/csv", true),
        ("", "text/csv, application/json;q=0.5", true),
        ("", "text/csv;q=0.5, application/json", false),
        ("?formato=json", "text/csv", false),
        ("", "*/*", false),
        ("", "text/csv;q=0, */*", false),
        ("", "application/json;q=0, */*", true),
    ] {
        let mut test_app = TestApp::new();
        test_app.atividades.expect_list().returning(|_| Ok(Page { items: vec![], total: 0, last: None }));
        test_app.atividades.expect_list_items().returning(|_| Ok(vec![].into()));
        let request = TestRequest::get().uri(&format!("{LIST}{query}")).insert_header(("Accept", accept));

        let response = test_app.send(request).await;

        let kind = if is_csv { "text/csv; charset=utf-8; header=present" } else { "application/json; charset=utf-8" };
        assert_eq!(response.header("content-type"), Some(kind), "{query} {accept}");
        assert_eq!(response.body == HEADER, is_csv, "{query} {accept}");
    }
}

#[actix_web::test]
async fn unacceptable_representation_returns_406() {
    for (request, accept, status) in [
        (TestRequest::get().uri(LIST), "application/xml", 406),
        (TestRequest::get().uri(LIST), "text/csv;q=0", 406),
        (TestRequest::get().uri(&format!("{LIST}?formato=csv")), "application/xml", 200),
        (TestRequest::post().uri(LIST), "text/csv", 406),
        (TestRequest::get().uri("/api/v1/projetos"), "text/html", 406),
        (TestRequest::get().uri("/api/v1/nada"), "text/html", 404),
        (TestRequest::get().uri("/healthz"), "text/html", 200),
        (TestRequest::get().uri("/docs"), "application/xml", 200),
    ] {
        let mut test_app = TestApp::new();
        test_app.atividades.expect_list_items().returning(|_| Ok(vec![].into()));

        let response = test_app.send(request.insert_header(("Accept", accept))).await;

        assert_eq!(response.status, status, "{accept}: {}", response.body);
        if status == 406 {
            assert_eq!(response.error().1, "A resposta não existe em nenhum dos formatos do cabeçalho Accept");
        }
    }
}

#[actix_web::test]
async fn csv_escapes_formulas() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list_items().returning(|_| {
        let harmful = Atividade {
            descricao: Some(Descricao::parse("@SUM(1)\nduas \"linhas\"; fim".to_owned()).unwrap()),
            nome_projeto: nome_projeto("-1+1"),
            outros_projetos: vec![projeto_da_atividade(2, "Outro"), projeto_da_atividade(3, "a|=b")],
            criado_por: None,
            ..atividade("=HYPERLINK(1)")
        };
        Ok(vec![atividade("A, b"), harmful].into())
    });

    let response = test_app.send(TestRequest::get().uri(&format!("{LIST}?formato=csv"))).await;

    let (id, projeto, now) = (atividade_id().0, domain::testing::projeto_id().0, "2026-01-12T16:00:00.123456Z");
    let expected = format!(
        "{HEADER}{id},\"A, b\",,true,{projeto},Portal,maria@exemplo.br,{now},{now},Portal\r\n\
         {id},'=HYPERLINK(1),\"'@SUM(1)\nduas \"\"linhas\"\"; fim\",true,{projeto},'-1+1,,{now},{now},'-1+1|Outro|a|=b\r\n"
    );
    assert_eq!(response.body, expected);
    assert_eq!(response.header("content-disposition"), Some("attachment; filename=\"atividades.csv\""));
    assert_eq!(NOW, atividade("A").criado_em);
}

#[actix_web::test]
async fn csv_with_bom_and_semicolons_is_written() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list_items().returning(|_| Ok(vec![].into()));

    let response = test_app.send(TestRequest::get().uri(&format!("{LIST}?formato=csv&bom=true&separador=%3B"))).await;

    assert_eq!(response.body, format!("\u{feff}{}", HEADER.replace(',', ";")));
}

#[actix_web::test]
async fn csv_without_limit_contains_all_rows() {
    let test_app = |limit: i64, pages: usize| {
        let mut test_app = TestApp::new();
        let with_limit = move |query: &AtividadeQuery| query.limit == Limit::parse(limit).unwrap();
        let first = function(move |query: &AtividadeQuery| with_limit(query) && query.apos.is_none());
        let full = vec![atividade("A"); usize::try_from(limit).unwrap()];
        test_app.atividades.expect_list_items().times(1).with(first).returning(move |_| Ok(full.clone().into()));
        let next = function(move |query: &AtividadeQuery| {
            with_limit(query) && query.apos.is_some() && query.skip == Skip::default()
        });
        test_app
            .atividades
            .expect_list_items()
            .times(pages - 1)
            .with(next)
            .returning(|_| Ok(vec![atividade("B"); 3].into()));
        test_app
    };

    let whole = test_app(1000, 2).send(TestRequest::get().uri(&format!("{LIST}?formato=csv&skip=1"))).await;
    let bounded = test_app(7, 1).send(TestRequest::get().uri(&format!("{LIST}?formato=csv&limit=7"))).await;

    assert_eq!((whole.body.lines().count(), bounded.body.lines().count()), (1004, 8));
}

#[actix_web::test]
async fn csv_with_failed_first_batch_returns_503() {
    let mut test_app = TestApp::new();
    test_app.atividades.expect_list_items().returning(|_| {
        Err(Error::Unavailable { service: Service::Database, retry_after: None, cause: "segredo".into() })
    });

    let response = test_app.send(TestRequest::get().uri(&format!("{LIST}?formato=csv"))).await;

    assert_eq!(response.error().0, 503);
}
