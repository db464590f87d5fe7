//! Azure DevOps Server, which supports only older versions of the REST API than Azure DevOps Services.

use adapters_azure::{AzureConfig, AzureDevOps, OrgUrl};
use domain::{AzureProjectId, ProjectDirectory, WorkItemDirectory, WorkItemId};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{PAT, adapter, bearer, config, fixture, kind, usuario};

const CONNECTION_DATA: &str = "/tfs/Colecao/_apis/connectionData";
const PROJECTS: &str = "/tfs/Colecao/_apis/projects";
const ITEM: &str = "/tfs/Colecao/_apis/wit/workitems/41";
const ANA: &str = "cdbc0002-5e61-5e97-84f7-32df35fb8951";

/// The versions of one release of Azure DevOps Server.
#[derive(Clone, Copy)]
struct Release {
    name: &'static str,
    /// The newest version with a released form of the projects.
    released: f64,
    /// The maximum in the error message, which includes previews.
    maximum: f64,
    /// Whether unknown versions get a 404 without a body instead of an error message.
    is_unrouted: bool,
}

const RELEASES: [Release; 5] = [
    Release { name: "2022", released: 7.0, maximum: 7.0, is_unrouted: false },
    Release { name: "2020", released: 6.0, maximum: 6.1, is_unrouted: false },
    Release { name: "2019 Update 1", released: 5.1, maximum: 5.1, is_unrouted: false },
    Release { name: "2019", released: 5.0, maximum: 5.1, is_unrouted: false },
    Release { name: "2019, no route", released: 5.1, maximum: 5.1, is_unrouted: true },
];

fn error(type_key: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(json!({
        "$id": "1", "innerException": null, "message": message, "typeKey": type_key, "errorCode": 0, "eventId": 3000,
    }))
}

fn project(n: usize) -> Value {
    json!({"id": format!("{:08x}-def2-5124-bbdb-f6c44b2d056e", n + 1), "name": format!("Projeto {n}"), "state": "wellFormed"})
}

fn query(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The response of a server with 250 projects, without continuation tokens.
fn respond(release: Release, request: &Request) -> ResponseTemplate {
    let requested = query(request, "api-version").unwrap();
    let (version, is_preview) =
        requested.split_once("-preview").map_or((requested.as_str(), false), |(version, _)| (version, true));
    let version: f64 = version.parse().unwrap();
    let path = request.url.path();
    if release.maximum < version {
        return if release.is_unrouted {
            ResponseTemplate::new(404)
        } else {
            error(
                "VssVersionOutOfRangeException",
                &format!(
                    "The requested REST API version of {version:.1} is out of range for this server. The latest REST \
                     API version this server supports is {:.1}.",
                    release.maximum
                ),
            )
        };
    }
    if path == CONNECTION_DATA {
        assert!(is_preview);
        let user = json!({
            "id": ANA, "descriptor": "System.Security.Principal.WindowsIdentity;S-1-5-21-1-2-3-1001",
            "providerDisplayName": "Ana Lima", "isActive": true,
            "properties": {"Domain": {"$type": "System.String", "$value": "CORP"}, "Account": {"$type": "System.String", "$value": "ana"}},
        });
        let body = json!({"authenticatedUser": user, "authorizedUser": user, "deploymentType": "onPremises"});
        return ResponseTemplate::new(200).set_body_json(body);
    }
    if release.released < version {
        return error("VssInvalidPreviewVersionException", "The -preview flag must be supplied.");
    }
    if path == ITEM {
        let has_unknown_field = query(request, "fields").unwrap().contains("System.Parent") && version < 6.0;
        return if has_unknown_field {
            error("WorkItemTrackingFieldDefinitionNotFoundException", "TF51535: Cannot find field System.Parent.")
        } else {
            ResponseTemplate::new(200).set_body_json(json!({"id": 41, "fields": {"System.Title": "Importar folha"}}))
        };
    }
    if let Some(id) = path.strip_prefix(PROJECTS).unwrap().strip_prefix('/') {
        let found = (0..250).map(project).find(|project| project["id"] == id);
        return found.map_or(fixture("project_404"), |project| ResponseTemplate::new(200).set_body_json(project));
    }
    let [skip, top] = ["$skip", "$top"].map(|name| query(request, name).map_or(0, |n| n.parse().unwrap()));
    let page: Vec<_> = (0..250).skip(skip).take(top).map(project).collect();
    ResponseTemplate::new(200).set_body_json(json!({"count": page.len(), "value": page}))
}

async fn server(release: Release) -> (MockServer, AzureDevOps) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(move |request: &Request| respond(release, request)).mount(&server).await;
    let org_url = OrgUrl::parse(&format!("{}/tfs/Colecao", server.uri())).unwrap();
    let azure = adapter(&AzureConfig { org_url: Some(org_url), ..config(&server.uri()) });
    (server, azure)
}

/// The versions of the requests so far.
async fn versions(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| query(request, "api-version").unwrap()).collect()
}

#[tokio::test]
async fn older_server_is_used_in_its_newest_version_which_is_remembered() {
    for release in RELEASES {
        let (server, azure) = server(release).await;

        let caller = usuario(&azure, bearer(PAT)).await.unwrap();
        let one = AzureProjectId::parse(project(7)["id"].as_str().unwrap()).unwrap();
        let found = ProjectDirectory::find(&azure, bearer(PAT), one).await.unwrap().unwrap();

        assert_eq!((caller.id.as_str(), caller.display_name.as_str(), caller.email), (ANA, "Ana Lima", None));
        assert_eq!(found.nome.as_str(), "Projeto 7", "{}", release.name);
        let negotiation = versions(&server).await;
        let version = format!("{:.1}", release.released);
        assert_eq!(negotiation.last(), Some(&version), "{}", release.name);
        ProjectDirectory::find(&azure, bearer(PAT), AzureProjectId::parse(ANA).unwrap()).await.unwrap();
        usuario(&azure, bearer("another")).await.unwrap();
        let later = versions(&server).await.split_off(negotiation.len());
        assert_eq!(later, [version.clone(), format!("{version}-preview.1")], "{}: {negotiation:?}", release.name);
        assert!(negotiation.len() <= 6, "{}: {negotiation:?}", release.name);
    }
}

#[tokio::test]
async fn list_without_continuation_tokens_is_read_completely_from_server_2019() {
    for release in RELEASES.into_iter().filter(|release| release.released < 6.0) {
        let (_server, azure) = server(release).await;

        assert_eq!(azure.list(bearer(PAT)).await.unwrap().projects.len(), 250, "{}", release.name);
    }
}

#[tokio::test]
async fn work_item_of_an_older_server_is_read_without_unknown_fields() {
    for release in RELEASES {
        let (_server, azure) = server(release).await;

        let found = WorkItemDirectory::find(&azure, Some(bearer(PAT)), WorkItemId::new(41).unwrap()).await.unwrap();

        assert_eq!(found.unwrap().titulo, "Importar folha", "{}", release.name);
    }
}

#[tokio::test]
async fn unsupported_server_is_bad_upstream_after_one_call() {
    let (server, azure) = server(Release { name: "2018", released: 4.1, maximum: 4.1, is_unrouted: false }).await;

    assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "bad upstream");
    assert_eq!(versions(&server).await, ["7.1-preview.1"]);
}

#[tokio::test]
async fn unrouted_404_in_every_version_is_not_remembered() {
    let server = MockServer::start().await;
    let azure = adapter(&config(&server.uri()));
    assert_eq!(kind(&usuario(&azure, bearer(PAT)).await.unwrap_err()), "bad upstream");
    let tried = versions(&server).await;
    assert_eq!(tried.len(), 5, "{tried:?}");

    usuario(&azure, bearer(PAT)).await.unwrap_err();

    assert_eq!(versions(&server).await[5..], tried);
}
