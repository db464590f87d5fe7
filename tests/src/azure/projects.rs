//! Projects of the stand-in organisation.

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::{State, query};

/// Maximum number of projects per page, whatever `$top` requests.
const MAX_PAGE_SIZE: usize = 100;

/// One page. Pages overlap by one project, as they do after a project is created in between.
pub(super) fn page_of(projects: &[&Value], start: usize, request: &Request) -> ResponseTemplate {
    let requested: usize = query(request, "$top").unwrap().parse().unwrap();
    let size = requested.min(MAX_PAGE_SIZE);
    let page: Vec<_> = projects.iter().skip(start).take(size).collect();
    let response = ResponseTemplate::new(200).set_body_json(json!({"count": page.len(), "value": page}));
    if start + size < projects.len() {
        response.insert_header("x-ms-continuationtoken", (start + size - 1).to_string())
    } else {
        response
    }
}

impl State {
    /// One project by id or name. An unknown and a hidden project give the same 404.
    pub(super) fn project(&self, projects: &[&Value], id: &str) -> ResponseTemplate {
        let is_it = |project: &&&Value| project["id"] == id || project["name"] == id;
        match projects.iter().find(is_it) {
            Some(project) => {
                let mut project = (*project).clone();
                project["defaultTeam"] = self.planning.default_team(&project);
                ResponseTemplate::new(200).set_body_json(project)
            }
            None => ResponseTemplate::new(404).set_body_json(json!({
                "$id": "1", "message": "TF200016", "typeKey": "ProjectDoesNotExistException", "errorCode": 0,
            })),
        }
    }
}
