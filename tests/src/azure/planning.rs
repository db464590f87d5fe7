//! Teams and iterations of the stand-in organisation.

use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{Request, ResponseTemplate};

use super::work_items::{Project, decoded, error, named};
use super::{Organisation, lock, query};

/// The largest page of teams.
const MAX_PAGE_SIZE: usize = 1_000;

/// The teams of the organisation, each with the name of its project and the iterations that it has selected. The first team
/// of a project is its default team.
#[derive(Default)]
pub(super) struct Planning {
    teams: Vec<(String, Value)>,
    /// The id of the team, and the iteration.
    iterations: Vec<(String, Value)>,
}

impl Organisation {
    /// Adds a team to the project with that name, and returns its id.
    #[must_use]
    pub fn add_team(&self, project: &str, nome: &str) -> String {
        let id = Uuid::now_v7().to_string();
        let url = format!("{}/_apis/projects/{project}/teams/{id}", self.url());
        let team = json!({
            "id": id, "name": nome, "description": "", "url": url, "identityUrl": format!("{}/_apis/Identities/{id}", self.url()),
            "projectName": project,
        });
        lock(&self.state).planning.teams.push((project.to_owned(), team));
        id
    }

    /// Lets a team select an iteration with these days and place in time, and returns its id.
    #[must_use]
    pub fn add_iteration(&self, team: &str, path: &str, (start, finish): (&str, &str), time_frame: &str) -> String {
        let id = Uuid::now_v7().to_string();
        let midnight = |date: &str| if date.is_empty() { Value::Null } else { json!(format!("{date}T00:00:00Z")) };
        let iteration = json!({
            "id": id, "name": path.rsplit('\\').next(), "path": path,
            "attributes": {"startDate": midnight(start), "finishDate": midnight(finish), "timeFrame": time_frame},
            "url": format!("{}/_apis/work/teamsettings/iterations/{id}", self.url()),
        });
        lock(&self.state).planning.iterations.push((team.to_owned(), iteration));
        id
    }
}

impl Planning {
    /// Returns the response, or `None` if the request is not about teams or iterations.
    pub(super) fn respond(&self, request: &Request, visible: &[Project<'_>]) -> Option<ResponseTemplate> {
        let segments: Vec<_> = request.url.path_segments()?.map(decoded).collect();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match *segments.as_slice() {
            ["exemplo", "_apis", "projects", project, "teams"] => Some(self.teams(request, project, visible)),
            ["exemplo", project, "_apis", "work", "teamsettings", "iterations"] => {
                Some(self.iterations(project, None, None, visible))
            }
            ["exemplo", project, "_apis", "work", "teamsettings", "iterations", id] => {
                Some(self.iterations(project, None, Some(id), visible))
            }
            ["exemplo", project, team, "_apis", "work", "teamsettings", "iterations"] => {
                Some(self.iterations(project, Some(team), None, visible))
            }
            ["exemplo", project, team, "_apis", "work", "teamsettings", "iterations", id] => {
                Some(self.iterations(project, Some(team), Some(id), visible))
            }
            _ => None,
        }
    }

    /// The default team of the project with that name, as the project shows it.
    pub(super) fn default_team(&self, project: &Value) -> Value {
        let name = project["name"].as_str().unwrap();
        let team = self.teams.iter().find(|(of, _)| of == name);
        team.map_or(Value::Null, |(_, team)| json!({"id": team["id"], "name": team["name"], "url": team["url"]}))
    }

    fn teams(&self, request: &Request, project: &str, visible: &[Project<'_>]) -> ResponseTemplate {
        let Some(name) = named(project, visible) else {
            return error(404, "ProjectDoesNotExistWithNameException", "TF200016");
        };
        let number = |name: &str, default| query(request, name).map_or(default, |number| number.parse().unwrap());
        let teams = self.teams.iter().filter(|(of, _)| of == name).map(|(_, team)| team);
        let page: Vec<_> = teams.skip(number("$skip", 0)).take(number("$top", 100).min(MAX_PAGE_SIZE)).collect();
        ResponseTemplate::new(200).set_body_json(json!({"count": page.len(), "value": page}))
    }

    fn iterations(
        &self,
        project: &str,
        team: Option<&str>,
        id: Option<&str>,
        visible: &[Project<'_>],
    ) -> ResponseTemplate {
        let Some(name) = named(project, visible) else {
            return error(404, "ProjectDoesNotExistWithNameException", "TF200016");
        };
        let mut teams = self.teams.iter().filter(|(of, _)| of == name).map(|(_, team)| team["id"].as_str().unwrap());
        let found = teams.find(|id| team.is_none_or(|team| *id == team));
        let Some(team) = found else {
            return error(404, "TeamNotFoundException", "TF400499");
        };
        let mut selected = self.iterations.iter().filter(|(of, _)| of == team).map(|(_, iteration)| iteration);
        match id {
            None => {
                let value: Vec<_> = selected.collect();
                ResponseTemplate::new(200).set_body_json(json!({"count": value.len(), "value": value}))
            }
            Some(id) => match selected.find(|iteration| iteration["id"] == id) {
                Some(iteration) => ResponseTemplate::new(200).set_body_json(iteration),
                None => error(404, "CurrentIterationDoesNotExistException", "VS402485"),
            },
        }
    }
}
