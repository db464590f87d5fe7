//! Queries in WIQL, as the service sends them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The condition of links to children, and the recursion up to the top.
const LINKS: &str = "SELECT [System.Id] FROM WorkItemLinks WHERE ([System.Links.LinkType] = \
                     'System.LinkTypes.Hierarchy-Forward') AND (";
const UP_TO_THE_TOP: &str = ") ORDER BY [System.Id] MODE (Recursive, ReturnMatchingChildren)";
const FLAT: &str = "SELECT [System.Id] FROM WorkItems WHERE ";
const ORDERS: [&str; 2] = [" ORDER BY [System.ChangedDate] DESC", " ORDER BY [System.Id]"];

/// Who asks, and the project in the address.
pub(super) struct Context<'a> {
    pub(super) project: Option<&'a str>,
    pub(super) me: Option<&'a str>,
}

/// The result of a query over `items`, which the caller can see, the last changed ones last.
pub(super) fn result(query: &str, items: &[&Value], top: usize, context: &Context<'_>) -> Value {
    if let Some(target) = query.strip_prefix(LINKS).and_then(|rest| rest.strip_suffix(UP_TO_THE_TOP)) {
        return links(target, items, context);
    }
    let conditions = query.strip_prefix(FLAT).unwrap_or_else(|| panic!("{query}"));
    let (conditions, is_by_id) = ORDERS
        .iter()
        .enumerate()
        .find_map(|(n, order)| Some((conditions.strip_suffix(order)?, n == 1)))
        .unwrap_or_else(|| panic!("{query}"));
    let mut found: Vec<_> = items.iter().rev().filter(|item| all_hold(conditions, item, context)).collect();
    if is_by_id {
        found.sort_by_key(|item| item["id"].as_i64());
    }
    let found: Vec<_> = found.into_iter().take(top).map(|item| json!({"id": item["id"], "url": ""})).collect();
    json!({"queryType": "flat", "queryResultType": "workItem", "columns": [], "workItems": found})
}

/// The matches and every item above one of them; those at the top have no source. The real service permits no circles.
fn links(target: &str, items: &[&Value], context: &Context<'_>) -> Value {
    let target = target.replace("[Target].", "");
    let alternatives: Vec<_> = target.split(" OR ").map(|part| part.trim_start_matches('(')).collect();
    let holds = |item: &&&Value| {
        alternatives.iter().any(|part| match part.strip_prefix("[System.Id] IN (") {
            Some(ids) => ids.trim_end_matches(')').split(", ").any(|id| item["id"].to_string() == id),
            None => all_hold(part.trim_end_matches(')'), item, context),
        })
    };
    let parent = |item: &Value| item["fields"]["System.Parent"].as_i64();
    let by_id = |id: i64| items.iter().find(|item| item["id"] == id);
    let mut shown = BTreeSet::new();
    for item in items.iter().filter(holds) {
        let mut next = Some(item);
        while let Some(item) = next.filter(|item| shown.insert(item["id"].as_i64().unwrap())) {
            next = parent(item).and_then(by_id);
        }
    }
    let link = |id: &i64| {
        let source = parent(by_id(*id).unwrap()).filter(|parent| shown.contains(parent));
        let end = |id: i64| json!({"id": id, "url": ""});
        let rel = source.map(|_| "System.LinkTypes.Hierarchy-Forward");
        json!({"rel": rel, "source": source.map(end), "target": end(*id)})
    };
    let relations: Vec<_> = shown.iter().map(link).collect();
    json!({"queryType": "tree", "queryResultType": "workItemLink", "columns": [], "workItemRelations": relations})
}

fn all_hold(conditions: &str, item: &Value, context: &Context<'_>) -> bool {
    conditions.split(" AND ").all(|condition| holds(condition, item, context))
}

/// Whether a condition of a query holds for a work item.
fn holds(condition: &str, item: &Value, context: &Context<'_>) -> bool {
    let field = |name: &str| item["fields"][name].as_str().unwrap_or_default().to_lowercase();
    let literal = |text: &str| text.trim_matches('\'').replace("''", "'").to_lowercase();
    if let Some(id) = condition.strip_prefix("[System.Id] = ") {
        id.parse::<i64>().is_ok_and(|id| item["id"] == id)
    } else if let Some(word) = condition.strip_prefix("[System.Title] CONTAINS ") {
        field("System.Title").contains(&literal(word))
    } else if let Some(types) = condition.strip_prefix("[System.WorkItemType] IN (") {
        types.trim_end_matches(')').split(", ").any(|tipo| literal(tipo) == field("System.WorkItemType"))
    } else if let Some(path) = condition.strip_prefix("[System.IterationPath] = ") {
        field("System.IterationPath") == literal(path)
    } else if condition == "[System.AssignedTo] = @Me" {
        context.me.is_some_and(|me| item["fields"]["System.AssignedTo"]["uniqueName"] == me)
    } else {
        assert_eq!(condition, "[System.TeamProject] = @project");
        context.project.is_some_and(|project| field("System.TeamProject") == project.to_lowercase())
    }
}
