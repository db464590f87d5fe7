//! Texts of queries in WIQL.

use domain::WorkItemId;

/// Returns `text` as a literal. An apostrophe is doubled; no other character has a meaning in a literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns the query for the work items that are assigned to the caller in the project of the address, the last changed
/// ones first.
pub(super) fn assigned() -> &'static str {
    "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.AssignedTo] = @Me ORDER BY \
     [System.ChangedDate] DESC"
}

/// Returns the query for `ids`, those assigned to the caller in the iteration with the path `iteration`, and all work items
/// above them. Without a condition on the source, Azure DevOps returns every item above a match.
pub(super) fn with_parents(ids: &[WorkItemId], iteration: Option<&str>) -> Option<String> {
    let by_id = (!ids.is_empty()).then(|| {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        format!("[Target].[System.Id] IN ({})", ids.join(", "))
    });
    let by_iteration = iteration.map(|path| {
        format!(
            "([Target].[System.TeamProject] = @project AND [Target].[System.AssignedTo] = @Me AND \
             [Target].[System.IterationPath] = {})",
            quoted(path)
        )
    });
    let target: Vec<_> = by_id.into_iter().chain(by_iteration).collect();
    (!target.is_empty()).then(|| {
        format!(
            "SELECT [System.Id] FROM WorkItemLinks WHERE ([System.Links.LinkType] = 'System.LinkTypes.Hierarchy-Forward') \
             AND ({}) ORDER BY [System.Id] MODE (Recursive, ReturnMatchingChildren)",
            target.join(" OR ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_with_parents_names_ids_and_a_quoted_path() {
        let ids: Vec<_> = [41, 42].into_iter().map(|id| WorkItemId::new(id).unwrap()).collect();

        assert_eq!(with_parents(&[], None), None);
        let both = with_parents(&ids, Some("Portal\\D'água")).unwrap();
        let target = "([Target].[System.Id] IN (41, 42) OR ([Target].[System.TeamProject] = @project AND \
                      [Target].[System.AssignedTo] = @Me AND [Target].[System.IterationPath] = 'Portal\\D''água'))";
        assert!(both.contains(target), "{both}");
    }
}
