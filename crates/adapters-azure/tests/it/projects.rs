//! The projects of the organisation: a complete list or an error.

use std::time::Duration;

use adapters_azure::AzureDevOps;
use domain::{AzureProjectId, DeletionEvidence, Descricao, ProjectDirectory, ProjectList, RemoteProjeto};
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    CONNECTION_DATA, PAT, PROJECTS, adapter, azure, basic, bearer, calls, config, fixture, fixture_json, kind,
    know_the_pat, respond, until, usuario,
};

const APONTAMENTOS: &str = "ad70e5d0-def2-5124-bbdb-f6c44b2d056e";

/// The project of the fixtures.
pub fn apontamentos() -> AzureProjectId {
    AzureProjectId::parse(APONTAMENTOS).unwrap()
}

fn project(n: usize) -> Value {
    json!({"id": format!("eb6e4656-77fc-42a1-9181-{n:012x}"), "name": format!("Projeto {n}"), "state": "wellFormed"})
}

fn page_of(projects: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"count": projects.len(), "value": projects}))
}

/// Makes `server` respond with `page` to the continuation token `token`, followed by the page `next`.
async fn page(server: &MockServer, token: Option<&str>, page: ResponseTemplate, next: Option<&str>) {
    let page = next.into_iter().fold(page, |page, next| page.insert_header("x-ms-continuationtoken", next));
    let mock = Mock::given(method("GET")).and(path(PROJECTS)).and(basic_auth("", PAT));
    let mock = match token {
        Some(token) => mock.and(query_param("continuationToken", token)),
        None => mock.and(query_param_is_missing("continuationToken")),
    };
    mock.respond_with(page).mount(server).await;
}

#[tokio::test]
async fn project_list_sends_the_documented_request() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    Mock::given(method("GET"))
        .and(path(PROJECTS))
        .and(query_param("api-version", "7.1"))
        .and(query_param("stateFilter", "all"))
        .and(query_param("$top", "200"))
        .and(basic_auth("", PAT))
        .respond_with(fixture("projects_200_state_all"))
        .expect(1)
        .mount(&server)
        .await;

    let projects = azure.list(bearer(PAT)).await.unwrap().projects;

    let states: Vec<_> = projects.iter().map(|p| (p.nome.as_str(), p.estado.as_deref().unwrap())).collect();
    assert_eq!(states, [("Apontamentos", "wellFormed"), ("novo", "createPending"), ("velho", "deleting")]);
    let expected = RemoteProjeto {
        id: apontamentos(),
        nome: domain::NomeProjeto::parse("Apontamentos").unwrap(),
        descricao: Some(Descricao::parse("Horas e atividades".to_owned()).unwrap()),
        url: Some(format!("https://dev.azure.com/contoso-lab/_apis/projects/{APONTAMENTOS}")),
        estado: Some("wellFormed".to_owned()),
    };
    assert_eq!(projects[0], expected);
    assert_eq!(projects[1].descricao, None);
}

#[tokio::test]
async fn overlapping_pages_are_merged_with_the_last_occurrence() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let all: Vec<_> = (0..250).map(project).collect();
    let mut renamed = project(99);
    renamed["name"] = json!("Novo nome");
    let last: Vec<_> = [renamed].into_iter().chain(all[200..].iter().cloned()).collect();
    page(&server, None, page_of(&all[..100]), Some("100")).await;
    page(&server, Some("100"), page_of(&all[99..200]), Some("a token&more")).await;
    page(&server, Some("a token&more"), page_of(&last), None).await;

    let projects = azure.list(bearer(PAT)).await.unwrap().projects;
    let verbatim = azure.list_raw(bearer(PAT)).await.unwrap();
    let verbatim: Vec<Value> = verbatim.iter().map(|project| serde_json::from_str(project).unwrap()).collect();

    assert_eq!(projects.len(), 250);
    assert_eq!(projects[99].nome.as_str(), "Novo nome");
    assert_eq!(verbatim.len(), 250);
    assert_eq!((&verbatim[7], &verbatim[99]["name"]), (&project(7), &json!("Novo nome")));
    assert_eq!(calls(&server, PROJECTS).await, 6);
}

#[tokio::test]
async fn continuation_header_alone_decides_about_another_page() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    page(&server, None, page_of(&[]), Some("2")).await;
    page(&server, Some("2"), fixture("projects_200_page2_last"), Some("")).await;

    assert_eq!(azure.list(bearer(PAT)).await.unwrap().projects.len(), 1);
}

#[tokio::test]
async fn list_raw_returns_the_original_bytes() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let ours = r#"{"id":"ad70e5d0-def2-5124-bbdb-f6c44b2d056e", "name":"é é","n":1.0, "novo":[ ]}"#;
    let body = format!("\u{feff}{{\"count\":1,\"value\":[{ours}]}}");
    respond(&server, PROJECTS, ResponseTemplate::new(200).set_body_raw(body, "application/json")).await;

    assert_eq!(azure.list_raw(bearer(PAT)).await.unwrap(), [ours]);
}

#[tokio::test]
async fn organisation_without_projects_is_an_empty_list() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("projects_200_empty")).await;

    assert_eq!(azure.list(bearer(PAT)).await.unwrap(), ProjectList::default());
    assert_eq!(azure.list_raw(bearer(PAT)).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn partial_list_is_an_error() {
    let full = || page_of(&[project(1)]);
    let cases = [
        ("circles", full(), Some("100"), "bad upstream"),
        ("an error page", fixture("error_500_not_transient"), None, "bad upstream"),
        ("a sign-in page", fixture("signin_203_html"), None, "forbidden"),
        ("a body of another shape", ResponseTemplate::new(200).set_body_json(json!([])), None, "bad upstream"),
        ("throttled", fixture("ratelimit_429"), None, "unavailable"),
        ("down", fixture("unavailable_503_json"), None, "unavailable"),
        ("slow", full().set_delay(Duration::from_secs(9)), None, "timed out"),
    ];
    for (name, second, next, expected) in cases {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        page(&server, None, full(), Some("100")).await;
        page(&server, Some("100"), second, next).await;

        assert_eq!(kind(&azure.list(bearer(PAT)).await.unwrap_err()), expected, "{name}");
        assert_eq!(calls(&server, PROJECTS).await, 2, "{name}");
    }
}

#[tokio::test]
async fn unreadable_entries_fail_alone_with_their_ids() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let other = APONTAMENTOS.replace("ad70", "ad71");
    let first = [json!({"id": APONTAMENTOS, "name": null}), json!({"name": "Sem id"}), project(1)];
    page(&server, None, page_of(&first), Some("3")).await;
    let second = [json!({"id": other, "name": {}}), json!({"id": "1", "name": "Um"}), json!(null), project(2)];
    page(&server, Some("3"), page_of(&second), None).await;

    let list = azure.list(bearer(PAT)).await.unwrap();

    let names: Vec<_> = list.projects.iter().map(|project| project.nome.as_str().to_owned()).collect();
    assert_eq!(names, [1, 2].map(|n| project(n)["name"].as_str().unwrap().to_owned()));
    let failed: Vec<_> = list.failed.into_iter().map(|id| id.map(|id| id.to_string())).collect();
    assert_eq!(failed, [Some(APONTAMENTOS.to_owned()), None, Some(other), None, None]);
    assert_eq!(azure.list_raw(bearer(PAT)).await.unwrap().len(), 7, "the live list has every entry");
}

/// A hidden project may give a 404, so a caller with limited rights proves a deletion only by the list of deleted ones.
#[tokio::test]
async fn confirm_deleted_for_a_caller_with_limited_rights_needs_the_list_of_deleted_projects() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let deleted = |n: usize, state: &str| {
        let mut project = project(n);
        project["state"] = json!(state);
        project
    };
    Mock::given(method("GET"))
        .and(path(PROJECTS))
        .and(query_param("stateFilter", "deleted"))
        .respond_with(page_of(&[deleted(3, "deleted"), deleted(4, "wellFormed"), json!({"id": 7})]))
        .mount(&server)
        .await;
    Mock::given(method("GET")).respond_with(fixture("project_404")).mount(&server).await;
    let ids = || (3..=5).map(azure_id).collect::<Vec<_>>();

    let confirmed = azure.confirm_deleted(bearer(PAT), ids(), DeletionEvidence::ListedAsDeleted).await;
    assert_eq!(confirmed, [azure_id(3)]);
    assert_eq!(calls(&server, &format!("{PROJECTS}/{}", azure_id(5))).await, 0, "a 404 would prove nothing");

    server.reset().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("error_403_permission")).await;
    assert_eq!(azure.confirm_deleted(bearer(PAT), ids(), DeletionEvidence::ListedAsDeleted).await, []);
}

#[tokio::test]
async fn endless_pages_are_bad_upstream() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let counter = std::sync::atomic::AtomicUsize::new(0);
    let endless = move |_: &wiremock::Request| {
        let n = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        page_of(&[project(n)]).insert_header("x-ms-continuationtoken", n.to_string())
    };
    Mock::given(method("GET")).and(path(PROJECTS)).respond_with(endless).mount(&server).await;

    assert_eq!(kind(&azure.list(bearer(PAT)).await.unwrap_err()), "bad upstream");
}

#[tokio::test]
async fn project_that_breaks_domain_rules_is_repaired() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let projects = [
        json!({"id": APONTAMENTOS, "name": format!("  {}\u{0}\u{7} ", "é".repeat(300)), "description": "a\u{0}\u{1b}\u{9b}b"}),
        json!({"id": APONTAMENTOS.replace("ad70", "ad71"), "name": " \u{0}\t", "description": "", "url": "", "state": 7}),
        json!({"id": APONTAMENTOS.replace("ad70", "AD72"), "name": "N", "description": "é".repeat(40_000), "url": null}),
    ];
    respond(&server, PROJECTS, page_of(&projects)).await;

    let listed = azure.list(bearer(PAT)).await.unwrap().projects;

    let names: Vec<_> = listed.iter().map(|p| p.nome.as_str()).collect();
    assert_eq!(names, [&"é".repeat(255), &APONTAMENTOS.replace("ad70", "ad71"), "N"]);
    let lengths: Vec<_> = listed.iter().map(|p| p.descricao.as_ref().map(|d| d.as_str().len())).collect();
    assert_eq!(lengths, [Some(2), None, Some(Descricao::MAX_BYTES)]);
    assert!(listed[1..].iter().all(|p| p.url.is_none() && p.estado.is_none()));
}

#[tokio::test]
async fn forbidden_response_for_a_known_user_is_forbidden() {
    let cases = ["error_403_permission", "unauthorized_401_missing_scope", "signin_302_rejected_credential"];
    for refusal in cases {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        respond(&server, PROJECTS, fixture(refusal)).await;
        respond(&server, &format!("{PROJECTS}/{APONTAMENTOS}"), fixture(refusal)).await;

        let errors = [
            azure.list(bearer(PAT)).await.unwrap_err(),
            azure.list_raw(bearer(PAT)).await.unwrap_err(),
            azure.find(bearer(PAT), apontamentos()).await.unwrap_err(),
        ];

        assert_eq!(errors.each_ref().map(kind), ["forbidden"; 3], "{refusal}");
    }
}

#[tokio::test]
async fn rejection_by_the_directory_removes_the_cached_identity() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("unauthorized_401_missing_scope")).await;
    azure.list(bearer(PAT)).await.unwrap_err();
    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unauthorized_401_pat_revoked")).await;

    assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn anonymous_credential_is_rejected_before_any_project_call() {
    let (server, azure) = azure().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_anonymous_bad_pat")).await;
    respond(&server, PROJECTS, fixture("projects_200")).await;

    assert_eq!(kind(&azure.list(bearer(PAT)).await.unwrap_err()), "rejected");
    assert_eq!(kind(&azure.list_raw(bearer(PAT)).await.unwrap_err()), "rejected");
    assert_eq!(kind(&azure.find(bearer(PAT), apontamentos()).await.unwrap_err()), "rejected");
    assert_eq!(calls(&server, PROJECTS).await, 0);
}

#[tokio::test]
async fn revoked_token_with_old_identity_is_rejected_instead_of_an_empty_list() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let mut config = config(&server.uri());
    config.listing_identity_age = Duration::from_millis(50);
    config.rejected_ttl = Duration::ZERO;
    let azure = adapter(&config);
    usuario(&azure, bearer(PAT)).await.unwrap();
    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("connectiondata_200_anonymous_bad_pat")).await;
    respond(&server, PROJECTS, fixture("projects_200_empty")).await;

    until(async || azure.list(bearer(PAT)).await.is_err_and(|error| kind(&error) == "rejected")).await;

    assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "rejected", "the cached identity is removed");
}

#[tokio::test]
async fn project_lookup_by_id_sends_the_documented_request() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    Mock::given(method("GET"))
        .and(path(format!("{PROJECTS}/{APONTAMENTOS}")))
        .and(query_param("api-version", "7.1"))
        .and(basic_auth("", PAT))
        .respond_with(fixture("project_200_capabilities"))
        .expect(1)
        .mount(&server)
        .await;

    let found = azure.find(basic(PAT), apontamentos()).await.unwrap().unwrap();

    assert_eq!((found.id, found.nome.as_str()), (apontamentos(), "Apontamentos"));
    assert_eq!(found.descricao.unwrap().as_str(), "Horas e atividades");
}

#[tokio::test]
async fn unknown_or_hidden_project_is_none() {
    let cases = [
        ("404", fixture("project_404")),
        ("400, hidden", fixture("project_400_no_access_by_id")),
        ("404, nothing said", ResponseTemplate::new(404)),
        ("404, another JSON", ResponseTemplate::new(404).set_body_json(json!({"message": "?"}))),
    ];
    for (name, missing) in cases {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        respond(&server, &format!("{PROJECTS}/{APONTAMENTOS}"), missing).await;

        assert_eq!(azure.find(bearer(PAT), apontamentos()).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn failed_project_lookup_is_an_error_and_not_none() {
    let other = fixture_json("projects_200")["response"]["body"]["value"][1].clone();
    let cases = [
        ("the organisation is unknown", fixture("error_404_org"), "bad upstream"),
        ("400", fixture("connectiondata_400_released_version"), "bad upstream"),
        ("500", fixture("error_500_not_transient"), "bad upstream"),
        ("another project", ResponseTemplate::new(200).set_body_json(other), "bad upstream"),
        ("429", fixture("ratelimit_429"), "unavailable"),
    ];
    for (name, response, expected) in cases {
        let (server, azure) = azure().await;
        know_the_pat(&server).await;
        respond(&server, &format!("{PROJECTS}/{APONTAMENTOS}"), response).await;

        assert_eq!(kind(&azure.find(bearer(PAT), apontamentos()).await.unwrap_err()), expected, "{name}");
    }
}

/// A server that lists only project 1. Look-ups of others by id find them, hide them, return 404 or fail.
async fn with_missing_projects() -> (MockServer, AzureDevOps) {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    page(&server, None, page_of(&[project(1)]), None).await;
    let hidden = fixture("project_400_no_access_by_id");
    let mut in_the_bin = project(11);
    in_the_bin["state"] = json!("deleted");
    let responses = [
        (1, ResponseTemplate::new(200).set_body_json(project(1))),
        (2, ResponseTemplate::new(200).set_body_json(project(2))),
        (3, fixture("project_404")),
        (4, hidden.clone()),
        (5, fixture("error_403_permission")),
        (6, fixture("unauthorized_401_missing_scope")),
        (7, fixture("error_500_not_transient")),
        (8, fixture("error_404_org")),
        (9, fixture("project_404")),
        (10, hidden),
        (11, ResponseTemplate::new(200).set_body_json(in_the_bin)),
    ];
    for (n, template) in responses {
        respond(&server, &format!("{PROJECTS}/{}", azure_id(n)), template).await;
    }
    (server, azure)
}

fn azure_id(n: usize) -> AzureProjectId {
    AzureProjectId::parse(project(n)["id"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn gone_returns_only_ids_with_definitive_404_or_deleted_state() {
    let (server, azure) = with_missing_projects().await;

    let few = azure.confirm_deleted(bearer(PAT), (2..=8).map(azure_id).collect(), DeletionEvidence::NotFound).await;
    assert_eq!(few, [azure_id(3)]);
    assert_eq!(calls(&server, PROJECTS).await, 0, "a few ids are looked up without a list");

    let mut many =
        azure.confirm_deleted(bearer(PAT), (1..=11).map(azure_id).collect(), DeletionEvidence::NotFound).await;
    many.sort_unstable();
    assert_eq!(many, [azure_id(3), azure_id(9), azure_id(11)]);
    assert_eq!(calls(&server, PROJECTS).await, 1);
    assert_eq!(calls(&server, &format!("{PROJECTS}/{}", azure_id(1))).await, 0, "listed projects are not looked up");
}

#[tokio::test]
async fn gone_without_any_evidence_returns_nothing() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("unavailable_503_json")).await;

    assert_eq!(azure.confirm_deleted(bearer("unknown"), vec![azure_id(1)], DeletionEvidence::NotFound).await, []);
    assert_eq!(
        azure.confirm_deleted(bearer(PAT), (0..500).map(azure_id).collect(), DeletionEvidence::NotFound).await,
        []
    );
}

#[tokio::test]
async fn gone_limits_the_number_of_lookups() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("projects_200_empty")).await;
    Mock::given(method("GET")).respond_with(fixture("project_404")).mount(&server).await;

    let gone = azure.confirm_deleted(bearer(PAT), (0..500).map(azure_id).collect(), DeletionEvidence::NotFound).await;

    assert_eq!(gone.len(), 200);
    assert_eq!(server.received_requests().await.unwrap().len(), 202);
}

#[tokio::test]
async fn concurrent_project_lookups_share_one_call_and_only_found_ones_are_cached() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let at = format!("{PROJECTS}/{APONTAMENTOS}");
    respond(&server, &at, fixture("project_200_capabilities").set_delay(Duration::from_millis(100))).await;

    let requests: Vec<_> = (0..50)
        .map(|_| {
            let azure = azure.clone();
            tokio::spawn(async move { azure.find(bearer(PAT), apontamentos()).await })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap().unwrap().is_some());
    }
    assert_eq!(calls(&server, &at).await, 1);

    // The found project is cached briefly per credential.
    azure.find(bearer(PAT), apontamentos()).await.unwrap();
    assert_eq!(calls(&server, &at).await, 1);
    azure.find(basic(PAT), apontamentos()).await.unwrap();
    assert_eq!(calls(&server, &at).await, 2);

    let unknown = format!("{PROJECTS}/{}", azure_id(3));
    respond(&server, &unknown, fixture("project_404")).await;
    for _ in 0..2 {
        assert_eq!(azure.find(bearer(PAT), azure_id(3)).await.unwrap(), None);
    }
    assert_eq!(calls(&server, &unknown).await, 2);
}

#[tokio::test]
async fn list_over_the_total_size_limit_is_bad_upstream() {
    let (server, azure) = azure().await;
    know_the_pat(&server).await;
    let tokens = ["1", "2", "3", "4", "5"];
    for (n, token) in [None].into_iter().chain(tokens.map(Some)).enumerate() {
        let mut large = project(n);
        large["description"] = json!("x".repeat(3_500_000));
        page(&server, token, page_of(&[large]), tokens.get(n).copied()).await;
    }

    assert_eq!(kind(&azure.list(bearer(PAT)).await.unwrap_err()), "bad upstream");
    assert_eq!(kind(&azure.list_raw(bearer(PAT)).await.unwrap_err()), "bad upstream");
    assert_eq!(calls(&server, PROJECTS).await, 10, "the fifth page exceeds the limit");
}

#[tokio::test]
async fn project_page_over_one_mebibyte_is_accepted() {
    let (server, _) = azure().await;
    know_the_pat(&server).await;
    let long = |n: usize| {
        let mut project = project(n);
        project["description"] = json!("x".repeat(10_000));
        project
    };
    respond(&server, PROJECTS, page_of(&(0..200).map(long).collect::<Vec<_>>())).await;

    assert_eq!(adapter(&config(&server.uri())).list(bearer(PAT)).await.unwrap().projects.len(), 200);
}
