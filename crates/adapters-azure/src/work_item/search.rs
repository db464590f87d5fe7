//! Searches for work items, with a query in WIQL.

use std::sync::Arc;

use domain::{WorkItem, WorkItemId, WorkItemSearch};
use serde_json::json;
use tokio::time::Instant;

use super::payload::QueryResult;
use super::reader::{WorkItems, call};
use super::wiql::quoted;
use crate::client::{Traffic, json};
use crate::directory::Principal;
use crate::error::AzureError;

impl WorkItems {
    /// Returns the work items that match and that the caller may see, the last changed ones first. `None` if the caller
    /// can see no such project.
    pub(crate) async fn search(
        &self,
        principal: &Principal,
        search: WorkItemSearch,
    ) -> Result<Option<Arc<[WorkItem]>>, AzureError> {
        let key = (principal.credential.fingerprint, search.clone());
        let ids = self.searches.try_get_with(key, self.query(principal, &search)).await;
        let Some(ids) = ids.map_err(|error| (*error).clone())? else { return Ok(None) };
        self.read(principal, &ids, Traffic::WorkItems).await.map(Some)
    }

    /// A number is searched as an id first: titles with that number may be more than the limit.
    async fn query(
        &self,
        principal: &Principal,
        search: &WorkItemSearch,
    ) -> Result<Option<Arc<[WorkItemId]>>, AzureError> {
        let deadline = Instant::now() + self.timeout;
        let user = self.users.of(&principal.user_id).await;
        let _user_slot = user.acquire(deadline).await?;
        if let Some(by_id) = by_id(search) {
            let found = self.query_where(principal, &by_id, search, deadline).await?;
            if found.as_ref().is_none_or(|ids| !ids.is_empty()) {
                return Ok(found);
            }
        }
        self.query_where(principal, &by_title(search), search, deadline).await
    }

    async fn query_where(
        &self,
        principal: &Principal,
        condition: &str,
        search: &WorkItemSearch,
        deadline: Instant,
    ) -> Result<Option<Arc<[WorkItemId]>>, AzureError> {
        let (template, url) = match search.projeto.as_deref() {
            Some(projeto) => ("/{project}/_apis/wit/wiql", self.org.at_segments(&[projeto, "_apis", "wit", "wiql"])),
            None => ("/_apis/wit/wiql", self.org.at_segments(&["_apis", "wit", "wiql"])),
        };
        let Some(mut url) = url else { return Ok(None) };
        url.query_pairs_mut().append_pair("$top", &search.limit.get().to_string());
        let body = json!({"query": wiql(condition, search)}).to_string();
        match self.upstream.send(&call(principal, template, url, Some(body), deadline)).await {
            Ok(response) => {
                let mut ids = json::read::<QueryResult>(&response.body)?.into_ids();
                ids.truncate(search.limit.get());
                Ok(Some(ids.into()))
            }
            Err(AzureError::ProjectNotFound { .. }) if search.projeto.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn by_id(search: &WorkItemSearch) -> Option<String> {
    let id = search.texto.as_str().parse().ok().and_then(|id| WorkItemId::new(id).ok())?;
    Some(format!("[System.Id] = {id}"))
}

fn by_title(search: &WorkItemSearch) -> String {
    let words = search.texto.as_str().split_whitespace();
    let words: Vec<_> = words.map(|word| format!("[System.Title] CONTAINS {}", quoted(word))).collect();
    words.join(" AND ")
}

/// Returns the query. `@project` is the project in the address.
fn wiql(condition: &str, search: &WorkItemSearch) -> String {
    let project = if search.projeto.is_some() { " AND [System.TeamProject] = @project" } else { "" };
    let tipos: Vec<_> = search.tipos.as_slice().iter().map(|tipo| quoted(tipo)).collect();
    let types =
        if tipos.is_empty() { String::new() } else { format!(" AND [System.WorkItemType] IN ({})", tipos.join(", ")) };
    format!("SELECT [System.Id] FROM WorkItems WHERE {condition}{project}{types} ORDER BY [System.ChangedDate] DESC")
}

#[cfg(test)]
mod tests {
    use domain::{WorkItemLimit, WorkItemText, WorkItemTypes};

    use super::*;

    fn search(texto: &str, projeto: Option<&str>, tipos: &str) -> WorkItemSearch {
        WorkItemSearch {
            texto: WorkItemText::parse(texto).unwrap(),
            projeto: projeto.map(str::to_owned),
            tipos: WorkItemTypes::parse(tipos).unwrap(),
            limit: WorkItemLimit::default(),
        }
    }

    #[test]
    fn title_has_every_word_as_a_quoted_literal() {
        let title = |word: &str| format!("[System.Title] CONTAINS '{word}'");
        let cases = [
            ("tela", title("tela")),
            (" tela  de ", format!("{} AND {}", title("tela"), title("de"))),
            ("d'água", title("d''água")),
            ("x' OR 1=1 --", ["x''", "OR", "1=1", "--"].map(title).join(" AND ")),
        ];
        for (texto, expected) in cases {
            assert_eq!(by_title(&search(texto, None, "")), expected);
        }
    }

    #[test]
    fn only_a_positive_number_of_32_bits_is_an_id() {
        assert_eq!(by_id(&search("41", None, "")).as_deref(), Some("[System.Id] = 41"));
        for texto in ["-1", "0x29", "41 42", "2147483648", "99999999999999999999"] {
            assert_eq!(by_id(&search(texto, None, "")), None, "{texto}");
        }
    }

    #[test]
    fn project_and_types_narrow_the_query() {
        let order = "ORDER BY [System.ChangedDate] DESC";
        assert_eq!(wiql("X", &search("tela", None, "")), format!("SELECT [System.Id] FROM WorkItems WHERE X {order}"));
        assert_eq!(
            wiql("X", &search("tela", Some("x'] OR @Me"), "Task,O'Bug")),
            format!(
                "SELECT [System.Id] FROM WorkItems WHERE X AND [System.TeamProject] = @project AND \
                 [System.WorkItemType] IN ('Task', 'O''Bug') {order}"
            )
        );
    }
}
