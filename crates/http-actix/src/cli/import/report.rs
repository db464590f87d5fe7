//! The report of an import: lines for the terminal, and a CSV file with every decision.

use std::io::{self, Write};

use adapters_postgres::{Decision, ImportReport};
use csv::Writer;
use domain::hours_and_minutes;

/// What clients see differently after a move, whatever the rows.
const CLIENTS: [&str; 4] = [
    "id_projeto and project_id are always Azure's GUID, never the id of a row",
    "times end in Z and have six digits; durations are HH:MM, HH and hours as before",
    "a new entry that would make a day longer than 24:00 is refused",
    "the tokens of organisations are not kept: each request brings its own",
];

/// Writes the columns.
pub fn write_header(writer: &mut Writer<impl Write>) -> io::Result<()> {
    writer.write_record(["table", "id", "decision", "before", "after", "cannot_be_taken"]).map_err(io::Error::from)
}

/// Writes one decision.
pub fn write(writer: &mut Writer<impl Write>, decision: &Decision) -> io::Result<()> {
    let text = |text: &Option<String>| neutral(text.as_deref().unwrap_or_default());
    writer
        .write_record([
            decision.tabela.clone(),
            text(&decision.id),
            decision.decision.clone(),
            text(&decision.before),
            text(&decision.after),
            decision.is_obstacle.to_string(),
        ])
        .map_err(io::Error::from)
}

/// A spreadsheet runs a cell that begins like a formula.
fn neutral(text: &str) -> String {
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// The lines for the terminal.
pub fn lines(report: &ImportReport) -> Vec<String> {
    let ImportReport { form, schema, time_zone, rows, decisions, changes, sums } = report;
    let mut lines = vec![
        format!("found         {form}, in the schema {:?}", schema.as_str()),
        format!("time zone     {time_zone}, for columns with local times"),
    ];
    let rows: Vec<_> = rows.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
    lines.push(format!("rows          {}", rows.join(", ")));
    lines.extend(decisions.iter().map(|count| {
        let label = if count.is_obstacle { "CANNOT TAKE" } else { "decision" };
        format!("{label:<13} {} {}: {}", count.rows, count.tabela, count.decision)
    }));
    lines.extend(changes.iter().map(|change| {
        let (new, changed, deleted) = (change.new, change.changed, change.deleted);
        format!("changes       {}: {new} new, {changed} changed, {deleted} deleted", change.tabela)
    }));
    if changes.is_empty() && !decisions.iter().any(|count| count.is_obstacle) {
        lines.push("changes       none".to_owned());
    }
    lines.extend(sums.iter().map(|sum| {
        let hours = |minutes: i64| hours_and_minutes(minutes.unsigned_abs());
        let verdict = if sum.different == 0 { "equal".to_owned() } else { format!("{} DIFFER", sum.different) };
        format!(
            "hours         by {} {}: {} before, {} after, {verdict}",
            sum.groups,
            sum.what,
            hours(sum.before),
            hours(sum.after)
        )
    }));
    lines.extend(CLIENTS.iter().map(|text| format!("clients       {text}")));
    lines
}
