//! Sample teams and iterations.

use domain::{Iteration, IterationId, Missing, Team, TeamId, TeamSelector, Teams, TimeFrame, monday_of, search_key};
use time::{Date, Duration, OffsetDateTime};
use uuid::Uuid;

use super::work_items::{ADMINISTRACAO, CAMPO, PORTAL};

/// The projects with a team, each with the number that its ids are made of.
const PROJECTS: [(&str, u128); 3] = [(PORTAL, 0x100), (CAMPO, 0x200), (ADMINISTRACAO, 0x300)];

/// The sprints of each team: number, name, and the week in which the two weeks begin, counted from the current one.
const SPRINTS: [(u128, &str, i64, TimeFrame); 3] = [
    (1, "Sprint 11", -3, TimeFrame::Past),
    (2, "Sprint 12", -1, TimeFrame::Current),
    (3, "Sprint 13", 1, TimeFrame::Future),
];

/// Returns the same id for a number in every run.
const fn sample_id(number: u128) -> Uuid {
    Uuid::from_u128(0x5d0e_9a3c_0c1f_4c55_9a41_0000_0000_0000 + number)
}

const fn team_id(project: u128) -> TeamId {
    TeamId(sample_id(project + 0x10))
}

fn project(projeto: &str) -> Option<(&'static str, u128)> {
    PROJECTS.into_iter().find(|(name, _)| search_key(name) == search_key(projeto))
}

/// Returns the teams of a project: one for each sample, none for another project.
pub fn teams(projeto: &str) -> Teams {
    let Some((name, number)) = project(projeto) else { return Teams::default() };
    let id = team_id(number);
    let team = Team {
        id,
        nome: format!("Time {name}"),
        descricao: format!("O time padrão de {name}"),
        url: String::new(),
        identity_url: String::new(),
        projeto_id: sample_id(number),
        projeto_nome: name.to_owned(),
    };
    Teams { teams: vec![team], default: Some(id) }
}

/// Returns the iterations of a team: three sprints for each sample, none for another project.
pub fn iterations(team: &TeamSelector) -> Result<Vec<Iteration>, Missing> {
    let found = project(&team.projeto);
    if team.team.is_some_and(|id| found.is_none_or(|(_, number)| id != team_id(number))) {
        return Err(Missing::Team);
    }
    let Some((name, number)) = found else { return Ok(Vec::new()) };
    let monday = monday_of(OffsetDateTime::now_utc().date());
    Ok(SPRINTS.into_iter().map(|sprint| iteration(name, number, sprint, monday)).collect())
}

fn iteration(
    project: &str,
    number: u128,
    (sprint, nome, week, time_frame): (u128, &str, i64, TimeFrame),
    monday: Date,
) -> Iteration {
    let inicio = monday.saturating_add(Duration::weeks(week));
    Iteration {
        id: IterationId(sample_id(number + sprint)),
        nome: nome.to_owned(),
        path: format!("{project}\\{nome}"),
        inicio: Some(inicio),
        fim: Some(inicio.saturating_add(Duration::days(13))),
        time_frame: Some(time_frame),
        url: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_has_a_team_with_one_current_sprint() {
        let today = OffsetDateTime::now_utc().date();
        for (projeto, _) in PROJECTS {
            let Teams { teams, default } = teams(projeto);
            assert_eq!(teams.iter().map(|team| Some(team.id)).collect::<Vec<_>>(), [default]);

            let of_team = iterations(&TeamSelector { projeto: projeto.to_lowercase(), team: default }).unwrap();
            let of_default = iterations(&TeamSelector { projeto: projeto.to_owned(), team: None }).unwrap();

            assert_eq!(of_team, of_default);
            let current: Vec<_> = of_team.iter().filter(|one| one.time_frame == Some(TimeFrame::Current)).collect();
            assert_eq!(current.len(), 1);
            assert!(current[0].inicio.unwrap() <= today && today <= current[0].fim.unwrap());
            assert!(of_team.is_sorted_by(|one, next| one.fim < next.inicio && one.id != next.id));
        }
    }

    #[test]
    fn team_of_another_project_is_missing() {
        let team = teams(CAMPO).default;

        assert_eq!(iterations(&TeamSelector { projeto: PORTAL.to_owned(), team }), Err(Missing::Team));
        assert_eq!(iterations(&TeamSelector { projeto: "Outro".to_owned(), team: None }), Ok(vec![]));
        assert_eq!(teams("Outro"), Teams::default());
    }
}
