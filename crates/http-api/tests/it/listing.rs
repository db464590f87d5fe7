use actix_web::test::TestRequest;
use domain::testing::{NOW, atividade, atividade_id, nome_projeto};
use domain::{
    Atividade, AtividadeCampo, AtividadeFiltro, AtividadeQuery, Busca, Cursor, Descricao, Error, Limit, Ordem, Page,
    Service, Skip,
};
use mockall::predicate::{eq, function};
use serde_json::json;

use crate::support::{Answer, World};

const LIST: &str = "/api/v1/atividades";
const HEADER: &str = "id,nome,descricao,ativo,id_projeto,nome_projeto,criado_por,criado_em,atualizado_em\r\n";

/// What a list of `total` atividades, one to a page, answers to a query.
async fn listed(query: &str, total: u64) -> Answer {
    let mut world = World::new();
    world.atividades.expect_list().returning(move |_| Ok(Page { items: vec![atividade("A")], total, last: None }));
    world.atividades.expect_list_items().returning(|_| Ok(vec![atividade("B")].into()));
    world.answer(TestRequest::get().uri(&format!("{LIST}?{query}"))).await
}

/// The relations of the `Link` header and where they lead.
fn links(answer: &Answer) -> Vec<(String, String)> {
    let link = |link: &str| {
        let (target, rel) = link.split_once(">; rel=\"").unwrap();
        (rel.trim_end_matches('"').to_owned(), target.trim_start_matches('<').to_owned())
    };
    answer.header("link").unwrap().split(", ").map(link).collect()
}

#[actix_web::test]
async fn q_and_ordem_are_asked_for() {
    for (ordem, campo, decrescente) in [
        ("criado_em", AtividadeCampo::CriadoEm, false),
        ("-criado_em", AtividadeCampo::CriadoEm, true),
        ("atualizado_em", AtividadeCampo::AtualizadoEm, false),
        ("-atualizado_em", AtividadeCampo::AtualizadoEm, true),
        ("nome", AtividadeCampo::Nome, false),
        ("-nome", AtividadeCampo::Nome, true),
    ] {
        let mut world = World::new();
        let filtro = AtividadeFiltro { texto: Some(Busca::parse("Ação %").unwrap()), ..AtividadeFiltro::default() };
        let query = AtividadeQuery { filtro, ordem: Ordem { campo, decrescente }, ..AtividadeQuery::default() };
        world.atividades.expect_list().with(eq(query)).returning(|_| Ok(Page { items: vec![], total: 0, last: None }));

        let uri = format!("{LIST}?q=A%C3%A7%C3%A3o+%25&ordem={ordem}");
        assert_eq!(world.answer(TestRequest::get().uri(&uri)).await.status, 200);
    }
}

#[actix_web::test]
async fn every_fault_of_the_new_parameters_comes_at_once() {
    let long = "a".repeat(256);
    let uri = format!("{LIST}?separador=x&bom=x&formato=xml&apos=x&ordem=NOME&q={long}");

    let answer = World::new().answer(TestRequest::get().uri(&uri)).await;

    let expected = [
        ("string_too_long", "q"),
        ("value_error", "ordem"),
        ("value_error", "apos"),
        ("value_error", "formato"),
        ("bool_parsing", "bom"),
        ("value_error", "separador"),
    ];
    assert_eq!(answer.faults(), expected.map(|(code, field)| (code.to_owned(), json!(["query", field]))));
    assert_eq!(
        answer.json()["detail"][1]["msg"],
        "Deve ser um destes: criado_em -criado_em atualizado_em -atualizado_em nome -nome"
    );
}

#[actix_web::test]
async fn proximo_leads_on_and_is_null_on_the_last_page() {
    let first = listed("apos=&limit=1&ordem=nome", 2).await;
    let proximo = first.json()["proximo"].as_str().unwrap().to_owned();
    let mut world = World::new();
    let cursor = Cursor::of(&atividade("A"), Ordem { campo: AtividadeCampo::Nome, decrescente: false });
    world
        .atividades
        .expect_list()
        .with(function(move |query: &AtividadeQuery| query.apos.as_ref() == Some(&cursor)))
        .returning(|_| Ok(Page { items: vec![], total: 2, last: None }));

    let uri = format!("{LIST}?apos={proximo}&limit=1&ordem=-nome");
    let last = world.answer(TestRequest::get().uri(&uri)).await;

    assert_eq!(last.body, r#"{"items":[],"total":2,"proximo":null}"#);
    assert_eq!(links(&last), [("first".to_owned(), format!("{LIST}?limit=1&ordem=-nome&apos="))]);
    assert!(links(&first).contains(&("next".to_owned(), format!("{LIST}?limit=1&ordem=nome&apos={proximo}"))));
}

#[actix_web::test]
async fn a_full_last_page_has_no_next_one() {
    let mut world = World::new();
    world.atividades.expect_list().returning(|_| Ok(Page { items: vec![atividade("A")], total: 1, last: None }));
    world.atividades.expect_list_items().returning(|_| Ok(vec![].into()));

    let answer = world.answer(TestRequest::get().uri(&format!("{LIST}?apos=&limit=1"))).await;

    assert_eq!(answer.json()["proximo"], json!(null));
}

#[actix_web::test]
async fn a_cursor_of_another_order_is_a_fault() {
    let first = listed("apos=&limit=1&ordem=nome", 2).await;
    let proximo = first.json()["proximo"].as_str().unwrap().to_owned();

    let answer = listed(&format!("apos={proximo}"), 2).await;

    assert_eq!(answer.faults(), [("value_error".to_owned(), json!(["query", "apos"]))]);
}

#[actix_web::test]
async fn links_lead_to_the_other_pages_and_keep_the_filters() {
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
        let answer = listed(&format!("ativo=true&skip={skip}&q=%C3%A7%20%26&x=1&limit=2"), total).await;
        assert_eq!(links(&answer), expected, "skip {skip} of {total}");
    }
    let named = listed("formato=json&limit=1", 2).await;
    assert!(links(&named).contains(&("next".to_owned(), format!("{LIST}?formato=json&limit=1&skip=1"))));
}

#[actix_web::test]
async fn links_that_no_proxy_would_pass_on_are_left_out() {
    let answer = listed(&format!("q={}", "%F0%9F%A6%80".repeat(255)), 1).await;

    assert_eq!((answer.status.as_u16(), answer.header("link")), (200, None));
}

#[actix_web::test]
async fn csv_is_asked_for_by_parameter_or_header() {
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
        let mut world = World::new();
        world.atividades.expect_list().returning(|_| Ok(Page { items: vec![], total: 0, last: None }));
        world.atividades.expect_list_items().returning(|_| Ok(vec![].into()));
        let request = TestRequest::get().uri(&format!("{LIST}{query}")).insert_header(("Accept", accept));

        let answer = world.answer(request).await;

        let kind = if is_csv { "text/csv; charset=utf-8; header=present" } else { "application/json; charset=utf-8" };
        assert_eq!(answer.header("content-type"), Some(kind), "{query} {accept}");
        assert_eq!(answer.body == HEADER, is_csv, "{query} {accept}");
    }
}

#[actix_web::test]
async fn who_takes_no_representation_is_told() {
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
        let mut world = World::new();
        world.atividades.expect_list_items().returning(|_| Ok(vec![].into()));

        let answer = world.answer(request.insert_header(("Accept", accept))).await;

        assert_eq!(answer.status, status, "{accept}: {}", answer.body);
        if status == 406 {
            assert_eq!(answer.error().1, "A resposta não existe em nenhum dos formatos do cabeçalho Accept");
        }
    }
}

#[actix_web::test]
async fn csv_has_a_row_for_each_and_no_formula_in_it() {
    let mut world = World::new();
    world.atividades.expect_list_items().returning(|_| {
        let harmful = Atividade {
            descricao: Some(Descricao::parse("@SUM(1)\nduas \"linhas\"; fim".to_owned()).unwrap()),
            nome_projeto: nome_projeto("-1+1"),
            criado_por: None,
            ..atividade("=HYPERLINK(1)")
        };
        Ok(vec![atividade("A, b"), harmful].into())
    });

    let answer = world.answer(TestRequest::get().uri(&format!("{LIST}?formato=csv"))).await;

    let (id, projeto, now) = (atividade_id().0, domain::testing::projeto_id().0, "2026-01-12T16:00:00.123456Z");
    let expected = format!(
        "{HEADER}{id},\"A, b\",,true,{projeto},Portal,maria@exemplo.br,{now},{now}\r\n\
         {id},'=HYPERLINK(1),\"'@SUM(1)\nduas \"\"linhas\"\"; fim\",true,{projeto},'-1+1,,{now},{now}\r\n"
    );
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"atividades.csv\""));
    assert_eq!(NOW, atividade("A").criado_em);
}

#[actix_web::test]
async fn csv_for_excel_has_a_mark_and_semicolons() {
    let mut world = World::new();
    world.atividades.expect_list_items().returning(|_| Ok(vec![].into()));

    let answer = world.answer(TestRequest::get().uri(&format!("{LIST}?formato=csv&bom=true&separador=%3B"))).await;

    assert_eq!(answer.body, format!("\u{feff}{}", HEADER.replace(',', ";")));
}

#[actix_web::test]
async fn csv_goes_on_to_the_end_unless_it_is_bounded() {
    let world = |limit: i64, pages: usize| {
        let mut world = World::new();
        let with_limit = move |query: &AtividadeQuery| query.limit == Limit::parse(limit).unwrap();
        let first = function(move |query: &AtividadeQuery| with_limit(query) && query.apos.is_none());
        let full = vec![atividade("A"); usize::try_from(limit).unwrap()];
        world.atividades.expect_list_items().times(1).with(first).returning(move |_| Ok(full.clone().into()));
        let next = function(move |query: &AtividadeQuery| {
            with_limit(query) && query.apos.is_some() && query.skip == Skip::default()
        });
        world
            .atividades
            .expect_list_items()
            .times(pages - 1)
            .with(next)
            .returning(|_| Ok(vec![atividade("B"); 3].into()));
        world
    };

    let whole = world(1000, 2).answer(TestRequest::get().uri(&format!("{LIST}?formato=csv&skip=1"))).await;
    let bounded = world(7, 1).answer(TestRequest::get().uri(&format!("{LIST}?formato=csv&limit=7"))).await;

    assert_eq!((whole.body.lines().count(), bounded.body.lines().count()), (1004, 8));
}

#[actix_web::test]
async fn csv_that_cannot_begin_is_an_error() {
    let mut world = World::new();
    world.atividades.expect_list_items().returning(|_| {
        Err(Error::Unavailable { service: Service::Database, retry_after: None, cause: "segredo".into() })
    });

    let answer = world.answer(TestRequest::get().uri(&format!("{LIST}?formato=csv"))).await;

    assert_eq!(answer.error().0, 503);
}
