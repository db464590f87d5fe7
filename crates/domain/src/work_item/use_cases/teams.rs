//! The use cases of teams and iterations.

use super::{ProjetoConsultado, WorkItems};
use crate::{
    Caller, Error, Iteration, IterationId, IterationItems, Missing, ProjetoSelector, RefusalReason, TeamId,
    TeamSelector, Teams,
};

impl WorkItems {
    /// Returns the teams of a project.
    ///
    /// # Errors
    /// `Refused` for another organisation, and for a projeto that the caller cannot see; those of the directory.
    pub async fn listar_times(&self, caller: &Caller, onde: ProjetoConsultado) -> Result<Teams, Error> {
        let projeto = self.project_in_azure(&onde).await?;
        let found = self.directory.teams(caller.credential.clone(), projeto).await?;
        found.map_err(|missing| refusal(missing, &onde.projeto, None, None).into())
    }

    /// Returns the iterations of a team; those of the default team without one.
    ///
    /// # Errors
    /// Those of [`Self::listar_times`]; `Refused` for a team that the caller cannot see.
    pub async fn listar_iteracoes(
        &self,
        caller: &Caller,
        onde: ProjetoConsultado,
        team: Option<TeamId>,
    ) -> Result<Vec<Iteration>, Error> {
        let selector = TeamSelector { projeto: self.project_in_azure(&onde).await?, team };
        let found = self.directory.iterations(caller.credential.clone(), selector).await?;
        found.map_err(|missing| refusal(missing, &onde.projeto, team, None).into())
    }

    /// Returns the work items of an iteration.
    ///
    /// # Errors
    /// Those of [`Self::listar_iteracoes`]; `Refused` for an iteration that the team does not have.
    pub async fn work_items_da_iteracao(
        &self,
        caller: &Caller,
        onde: ProjetoConsultado,
        team: Option<TeamId>,
        iteration: IterationId,
    ) -> Result<IterationItems, Error> {
        let selector = TeamSelector { projeto: self.project_in_azure(&onde).await?, team };
        let found = self.directory.iteration_items(caller.credential.clone(), selector, iteration).await?;
        found.map_err(|missing| refusal(missing, &onde.projeto, team, Some(iteration)).into())
    }
}

/// Returns why a request about something that Azure DevOps does not have is refused.
pub(crate) fn refusal(
    missing: Missing,
    projeto: &ProjetoSelector,
    team: Option<TeamId>,
    iteration: Option<IterationId>,
) -> RefusalReason {
    match (missing, team, iteration) {
        (Missing::Team, Some(team), _) => RefusalReason::UnknownTeam(team),
        (Missing::Iteration, _, Some(iteration)) => RefusalReason::UnknownIteration(iteration),
        _ => RefusalReason::UnknownProjeto(projeto.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::testing::{maria, nome_projeto};
    use crate::{MockProjetoRepository, MockWorkItemDirectory, Organizacao, Refusal};

    const TEAM: TeamId = TeamId(Uuid::from_u128(7));
    const ITERATION: IterationId = IterationId(Uuid::from_u128(8));

    fn work_items(directory: MockWorkItemDirectory) -> WorkItems {
        let projetos = MockProjetoRepository::new();
        WorkItems::new(Arc::new(directory), Arc::new(projetos), Some("exemplo".to_owned()))
    }

    fn onde(organizacao: &str, projeto: &str) -> ProjetoConsultado {
        ProjetoConsultado {
            organizacao: Organizacao::parse(organizacao).unwrap(),
            projeto: ProjetoSelector::Nome(nome_projeto(projeto)),
        }
    }

    fn reason(error: Error) -> RefusalReason {
        match error {
            Error::Refused(mut refusals) => {
                let Refusal { item, reason } = refusals.remove(0);
                assert_eq!(item, None);
                reason
            }
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn what_azure_does_not_have_is_refused_by_name() {
        let cases = [
            (Missing::Projeto, RefusalReason::UnknownProjeto("Portal".to_owned())),
            (Missing::Team, RefusalReason::UnknownTeam(TEAM)),
            (Missing::Iteration, RefusalReason::UnknownIteration(ITERATION)),
        ];
        for (missing, expected) in cases {
            let mut directory = MockWorkItemDirectory::new();
            directory
                .expect_iteration_items()
                .withf(|credential, selector, id| {
                    credential.is_some() && selector.team == Some(TEAM) && *id == ITERATION
                })
                .return_once(move |_, _, _| Ok(Err(missing)));

            let found = work_items(directory)
                .work_items_da_iteracao(&maria(), onde("Exemplo", "Portal"), Some(TEAM), ITERATION)
                .await;

            assert_eq!(reason(found.unwrap_err()), expected);
        }
    }

    #[tokio::test]
    async fn other_organisation_and_impossible_project_ask_nobody() {
        let other = RefusalReason::OtherOrganisation { served: "exemplo".to_owned(), sent: "outra".to_owned() };
        let cases = [
            (onde("outra", "Portal"), other),
            (onde("exemplo", "../outra"), RefusalReason::UnknownProjeto("../outra".to_owned())),
        ];
        for (onde, expected) in cases {
            let work_items = work_items(MockWorkItemDirectory::new());

            let refused = [
                work_items.listar_times(&maria(), onde.clone()).await.unwrap_err(),
                work_items.listar_iteracoes(&maria(), onde.clone(), Some(TEAM)).await.unwrap_err(),
                work_items.work_items_da_iteracao(&maria(), onde, None, ITERATION).await.unwrap_err(),
            ];

            for error in refused {
                assert_eq!(reason(error), expected);
            }
        }
    }
}
