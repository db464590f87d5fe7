//! Teams of a project and their iterations.

use std::sync::Arc;

use domain::{Iteration, IterationId, IterationItems, Missing, Team, TeamSelector, Teams};
use futures_util::future::try_join;
use serde_json::json;
use tokio::time::Instant;

use super::payload::QueryResult;
use super::planning::{IterationPayload, Iterations, ProjectPayload, TeamPage};
use super::reader::{WorkItems, call};
use super::wiql::quoted;
use crate::client::json::read;
use crate::directory::Principal;
use crate::error::AzureError;

/// Teams per page.
const TEAMS_PER_PAGE: usize = 1_000;
/// Azure DevOps allows 5,000 teams per project.
const MAX_TEAM_PAGES: usize = 5;
/// The largest number of work items of an iteration. A query for more than 20,000 fails unless it is limited.
const MAX_ITERATION_ITEMS: usize = 20_000;

/// A result that is cached, or what Azure DevOps does not have.
pub(super) type Found<T> = Result<Arc<T>, Missing>;

impl WorkItems {
    /// Returns the teams of a project that the caller may see, and its default team.
    pub(crate) async fn teams(&self, principal: &Principal, projeto: String) -> Result<Found<Teams>, AzureError> {
        let key = (principal.credential.fingerprint, projeto.clone());
        let teams = self.teams.try_get_with(key, self.fetch_teams(principal, &projeto)).await;
        teams.map_err(|error| (*error).clone())
    }

    async fn fetch_teams(&self, principal: &Principal, projeto: &str) -> Result<Found<Teams>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let project = self.fetch_project(principal, projeto, deadline);
        match try_join(project, self.fetch_team_pages(principal, projeto, deadline)).await {
            Ok((project, pages)) => {
                let teams: Vec<Team> = pages.into_iter().flat_map(|page| page.into_domain(&project)).collect();
                Ok(Ok(Arc::new(Teams { teams, default: project.default_team() })))
            }
            Err(AzureError::ProjectNotFound { .. }) => Ok(Err(Missing::Projeto)),
            Err(error) => Err(error),
        }
    }

    async fn fetch_project(
        &self,
        principal: &Principal,
        projeto: &str,
        deadline: Instant,
    ) -> Result<ProjectPayload, AzureError> {
        let url = self.org.at_segments(&["_apis", "projects", projeto]).ok_or_else(no_segment)?;
        read(&self.upstream.send(&call(principal, "/_apis/projects/{project}", url, None, deadline)).await?.body)
    }

    async fn fetch_team_pages(
        &self,
        principal: &Principal,
        projeto: &str,
        deadline: Instant,
    ) -> Result<Vec<TeamPage>, AzureError> {
        let mut pages = Vec::new();
        for number in 0..MAX_TEAM_PAGES {
            let mut url = self.org.at_segments(&["_apis", "projects", projeto, "teams"]).ok_or_else(no_segment)?;
            let skip = (number * TEAMS_PER_PAGE).to_string();
            url.query_pairs_mut().append_pair("$top", &TEAMS_PER_PAGE.to_string()).append_pair("$skip", &skip);
            let call = call(principal, "/_apis/projects/{project}/teams", url, None, deadline);
            let page: TeamPage = read(&self.upstream.send(&call).await?.body)?;
            let is_last = page.len() < TEAMS_PER_PAGE;
            pages.push(page);
            if is_last {
                break;
            }
        }
        Ok(pages)
    }

    /// Returns the iterations that a team has selected.
    pub(crate) async fn iterations(
        &self,
        principal: &Principal,
        team: TeamSelector,
    ) -> Result<Found<Vec<Iteration>>, AzureError> {
        let key = (principal.credential.fingerprint, team.clone());
        let iterations = self.iterations.try_get_with(key, self.fetch_iterations(principal, &team)).await;
        iterations.map_err(|error| (*error).clone())
    }

    async fn fetch_iterations(
        &self,
        principal: &Principal,
        team: &TeamSelector,
    ) -> Result<Found<Vec<Iteration>>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let url = self.iterations_url(team, None).ok_or_else(no_segment)?;
        let template = "/{project}/{team}/_apis/work/teamsettings/iterations";
        let response = self.upstream.send(&call(principal, template, url, None, deadline)).await;
        let missing = if team.team.is_some() { Missing::Team } else { Missing::Projeto };
        or_missing(response, missing)?.map_or_else(
            |missing| Ok(Err(missing)),
            |response| Ok(Ok(Arc::new(read::<Iterations>(&response.body)?.into_domain()))),
        )
    }

    /// Returns the name of an iteration, and its work items that the caller may see.
    pub(crate) async fn iteration_items(
        &self,
        principal: &Principal,
        team: TeamSelector,
        id: IterationId,
    ) -> Result<Found<IterationItems>, AzureError> {
        let key = (principal.credential.fingerprint, team.clone(), id);
        let items = self.iteration_items.try_get_with(key, self.fetch_iteration_items(principal, &team, id)).await;
        items.map_err(|error| (*error).clone())
    }

    async fn fetch_iteration_items(
        &self,
        principal: &Principal,
        team: &TeamSelector,
        id: IterationId,
    ) -> Result<Found<IterationItems>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        let iteration = match self.fetch_iteration(principal, team, id, deadline).await? {
            Ok(iteration) => iteration,
            Err(missing) => return Ok(Err(missing)),
        };
        let url = self.org.at_segments(&[&team.projeto, "_apis", "wit", "wiql"]);
        let mut url = url.ok_or_else(no_segment)?;
        url.query_pairs_mut().append_pair("$top", &MAX_ITERATION_ITEMS.to_string());
        let path = quoted(&iteration.path);
        let query = format!(
            "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.IterationPath] = {path} \
             ORDER BY [System.Id]"
        );
        let body = json!({"query": query}).to_string();
        let call = call(principal, "/{project}/_apis/wit/wiql", url, Some(body), deadline);
        let ids = read::<QueryResult>(&self.upstream.send(&call).await?.body)?.into_ids();
        Ok(Ok(Arc::new(IterationItems { nome: iteration.nome, ids })))
    }

    /// Returns an iteration that a team has selected.
    pub(super) async fn fetch_iteration(
        &self,
        principal: &Principal,
        team: &TeamSelector,
        id: IterationId,
        deadline: Instant,
    ) -> Result<Result<Iteration, Missing>, AzureError> {
        let url = self.iterations_url(team, Some(id)).ok_or_else(no_segment)?;
        let template = "/{project}/{team}/_apis/work/teamsettings/iterations/{id}";
        let response = self.upstream.send(&call(principal, template, url, None, deadline)).await;
        let response = match or_missing(response, Missing::Iteration)? {
            Ok(response) => response,
            Err(missing) => return Ok(Err(missing)),
        };
        let iteration = read::<IterationPayload>(&response.body)?.into_domain();
        let iteration = iteration.filter(|iteration| iteration.id == id);
        iteration.map(Ok).ok_or_else(|| AzureError::invalid_response("the response is about another iteration"))
    }

    fn iterations_url(&self, team: &TeamSelector, iteration: Option<IterationId>) -> Option<reqwest::Url> {
        let (team_id, iteration) = (team.team.map(|id| id.0.to_string()), iteration.map(|id| id.0.to_string()));
        let mut segments = vec![team.projeto.as_str()];
        segments.extend(team_id.as_deref());
        segments.extend(["_apis", "work", "teamsettings", "iterations"]);
        segments.extend(iteration.as_deref());
        self.org.at_segments(&segments)
    }
}

/// Returns `missing` for a 404 in JSON about anything but a project.
fn or_missing<T>(result: Result<T, AzureError>, missing: Missing) -> Result<Result<T, Missing>, AzureError> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(AzureError::ProjectNotFound { .. }) => Ok(Err(Missing::Projeto)),
        Err(AzureError::NotFound(_)) => Ok(Err(missing)),
        Err(error) => Err(error),
    }
}

pub(super) fn no_segment() -> AzureError {
    AzureError::invalid_response("a project or type without a usable name")
}
