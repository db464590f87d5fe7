//! The JSON of teams and iterations, limited to the fields that are read.

use domain::{Iteration, IterationId, Team, TeamId, TimeFrame, parse_date};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::Date;
use uuid::Uuid;

use crate::client::json::text;

/// Azure DevOps limits the names of teams and iterations to fewer characters.
const MAX_NAME: usize = 256;
/// The largest length of a path of an iteration.
const MAX_PATH: usize = 4_000;
/// The largest length of a description.
const MAX_DESCRIPTION: usize = 1_000;
/// The largest length of an address.
const MAX_URL: usize = 2_000;

/// The first year of a date that a person sets. Azure DevOps sends the year 1 for one that is not set.
const FIRST_YEAR: i32 = 1900;
/// The year of a date without an end.
const LAST_YEAR: i32 = 9998;

/// A project, for its default team.
#[derive(Deserialize)]
pub(super) struct ProjectPayload {
    id: Uuid,
    #[serde(default)]
    name: Value,
    #[serde(default, rename = "defaultTeam")]
    default_team: Value,
}

impl ProjectPayload {
    pub(super) fn default_team(&self) -> Option<TeamId> {
        uuid(self.default_team.get("id")?).map(TeamId)
    }
}

/// A page of teams.
#[derive(Deserialize)]
pub(super) struct TeamPage {
    value: Vec<Box<RawValue>>,
}

impl TeamPage {
    pub(super) fn len(&self) -> usize {
        self.value.len()
    }

    /// Returns the teams that can be read.
    pub(super) fn into_domain(self, project: &ProjectPayload) -> Vec<Team> {
        // One after the other, because a parsed value takes several times its bytes.
        let teams = self.value.iter().filter_map(|raw| team(&serde_json::from_str(raw.get()).ok()?, project));
        let teams: Vec<_> = teams.collect();
        warn_of_unreadable(self.value.len() - teams.len());
        teams
    }
}

fn team(value: &Value, project: &ProjectPayload) -> Option<Team> {
    let field = |name, max| value.get(name).and_then(|value| text(value, max));
    Some(Team {
        id: TeamId(uuid(value.get("id")?)?),
        nome: field("name", MAX_NAME)?,
        descricao: field("description", MAX_DESCRIPTION).unwrap_or_default(),
        url: field("url", MAX_URL).unwrap_or_default(),
        identity_url: field("identityUrl", MAX_URL).unwrap_or_default(),
        projeto_id: project.id,
        projeto_nome: text(&project.name, MAX_NAME).unwrap_or_default(),
    })
}

/// The iterations of a team. The documentation has both names.
#[derive(Deserialize)]
pub(super) struct Iterations {
    #[serde(alias = "values")]
    value: Vec<Value>,
}

impl Iterations {
    /// Returns the iterations that can be read.
    pub(super) fn into_domain(self) -> Vec<Iteration> {
        let count = self.value.len();
        let iterations: Vec<_> =
            self.value.into_iter().filter_map(|value| IterationPayload(value).into_domain()).collect();
        warn_of_unreadable(count - iterations.len());
        iterations
    }
}

/// One iteration.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct IterationPayload(Value);

impl IterationPayload {
    /// Converts the iteration to the domain's type; `None` without an id, a name or a path.
    pub(super) fn into_domain(self) -> Option<Iteration> {
        let field = |name, max| self.0.get(name).and_then(|value| text(value, max));
        let attribute = |name| self.0.get("attributes").and_then(|attributes| attributes.get(name));
        // A path that is cut would be that of another iteration.
        let path = field("path", MAX_PATH + 1).filter(|path| path.chars().count() <= MAX_PATH)?;
        Some(Iteration {
            id: IterationId(uuid(self.0.get("id")?)?),
            nome: field("name", MAX_NAME)?,
            path,
            inicio: attribute("startDate").and_then(day),
            fim: attribute("finishDate").and_then(day),
            time_frame: attribute("timeFrame").and_then(time_frame),
            url: field("url", MAX_URL).unwrap_or_default(),
        })
    }
}

fn uuid(value: &Value) -> Option<Uuid> {
    Uuid::parse_str(value.as_str()?).ok()
}

/// Returns the day of a point in time at midnight UTC, with which Azure DevOps sends a date.
fn day(value: &Value) -> Option<Date> {
    let date = parse_date(value.as_str()?.get(..10)?).ok()?;
    (FIRST_YEAR..=LAST_YEAR).contains(&date.year()).then_some(date)
}

fn time_frame(value: &Value) -> Option<TimeFrame> {
    // Some versions send the number of the enumeration.
    match (value.as_str(), value.as_i64()) {
        (Some("past"), _) | (_, Some(0)) => Some(TimeFrame::Past),
        (Some("current"), _) | (_, Some(1)) => Some(TimeFrame::Current),
        (Some("future"), _) | (_, Some(2)) => Some(TimeFrame::Future),
        _ => None,
    }
}

fn warn_of_unreadable(count: usize) {
    if 0 < count {
        tracing::warn!(count, "skipping unreadable teams or iterations");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::date;

    use super::*;
    use crate::client::json::read;

    const ID: &str = "a09a7e3b-e7a2-56b6-9a6f-f98cb2583d49";

    fn iterations(value: &Value) -> Vec<Iteration> {
        read::<Iterations>(value.to_string().as_bytes()).unwrap().into_domain()
    }

    #[test]
    fn dates_are_days_whatever_their_offset_and_unset_ones_are_none() {
        let cases = [
            (json!("2026-11-15T00:00:00Z"), Some(date!(2026 - 11 - 15))),
            (json!("2026-11-15T00:00:00"), Some(date!(2026 - 11 - 15))),
            (json!("2026-11-15"), Some(date!(2026 - 11 - 15))),
            (json!("0001-01-01T00:00:00"), None),
            (json!("9999-12-31T00:00:00Z"), None),
            (json!("15/11/2026"), None),
            (json!("2026-02-30T00:00:00Z"), None),
            (json!("ação-ação-ação"), None),
            (json!(7), None),
            (Value::Null, None),
        ];
        for (value, expected) in cases {
            assert_eq!(day(&value), expected, "{value}");
        }
    }

    #[test]
    fn unreadable_iterations_are_left_out() {
        let path = "a".repeat(MAX_PATH + 1);
        let value = json!({"values": [
            null, {}, 7, {"id": "x", "name": "a", "path": "b"}, {"id": ID, "name": "a"}, {"id": ID, "name": "a", "path": path},
            {"id": ID, "name": " a\u{0}b ", "path": "P\\a", "attributes": {"timeFrame": 1}},
        ]});

        let read = iterations(&value);

        assert_eq!(read.len(), 1);
        assert_eq!((read[0].nome.as_str(), read[0].path.as_str(), read[0].url.as_str()), ("ab", "P\\a", ""));
        assert_eq!((read[0].time_frame, read[0].inicio), (Some(TimeFrame::Current), None));
    }

    #[test]
    fn teams_take_the_project_from_the_project_itself() {
        let project = json!({"id": ID, "name": "Portal", "defaultTeam": {"id": ID.to_uppercase(), "name": "Time"}});
        let project: ProjectPayload = read(project.to_string().as_bytes()).unwrap();
        let page =
            json!({"value": [{"id": ID, "name": "Time", "projectName": "Outro"}, {"id": 7}, null, {"name": "x"}]});
        let page: TeamPage = read(page.to_string().as_bytes()).unwrap();

        let teams = page.into_domain(&project);

        assert_eq!(
            (teams.len(), teams[0].projeto_nome.as_str(), project.default_team()),
            (1, "Portal", Some(teams[0].id))
        );
    }
}
