//! The backups: when there was a good one, and whether the archive of WAL follows.

use std::path::Path;

use adapters_postgres::Archive;
use time::{Duration, OffsetDateTime};

use super::report::Report;

/// They run daily; two hours are for the run itself.
const MAX_AGE: Duration = Duration::hours(26);
/// The metric that the backups write, for each kind of backup.
const METRIC: &str = "aponta_backup_last_success_timestamp_seconds";

/// Looks at the metrics in `file` and at the archive of the database.
pub fn look(file: Option<&Path>, archive: Option<Archive>, report: &mut Report) {
    match file {
        None => report.note("backups", "not looked at: name what they write with --backups FILE"),
        Some(file) => look_at_file(file, report),
    }
    match archive {
        None => {
            report.note("archive", "the database keeps none: a restore loses what came after the last backup");
        }
        Some(Archive { is_failing: true, .. }) => {
            report.wrong("archive", "the last WAL segment could not be archived: look at the log of PostgreSQL");
        }
        Some(Archive { last: None, .. }) => report.note("archive", "no WAL segment was archived yet"),
        Some(Archive { last: Some(last), .. }) => {
            let age = (OffsetDateTime::now_utc() - last).whole_seconds();
            report.ok("archive", format_args!("the last WAL segment was archived {age} s ago"));
        }
    }
}

fn look_at_file(file: &Path, report: &mut Report) {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            return report.wrong("backups", format_args!("{}: {error}: has a backup ever run?", file.display()));
        }
    };
    let Some(last) = newest(&text) else {
        return report.wrong("backups", format_args!("{} tells of no good one: make one", file.display()));
    };
    let age = OffsetDateTime::now_utc() - last;
    let hours = age.whole_hours();
    if age <= MAX_AGE {
        report.ok("backups", format_args!("the last good one ended {hours} h ago"));
    } else {
        report.wrong("backups", format_args!("the last good one ended {hours} h ago: look at the log of the backups"));
    }
}

/// The time of the newest backup that the metrics tell of.
fn newest(text: &str) -> Option<OffsetDateTime> {
    let samples = text.lines().filter_map(|line| line.strip_prefix(METRIC));
    let times = samples.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok());
    let newest = times.filter(|time| 0.0 < *time).max_by(f64::total_cmp)?;
    OffsetDateTime::UNIX_EPOCH.checked_add(Duration::checked_seconds_f64(newest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backup_of_any_kind_counts() {
        let text = "# HELP x\naponta_backup_last_success_timestamp_seconds{type=\"full\"} 1700000000\n\
                    aponta_backup_last_success_timestamp_seconds{type=\"incr\"} 1.7e9\naponta_backup_size_bytes 9e9\n";
        assert_eq!(newest(text).map(OffsetDateTime::unix_timestamp), Some(1_700_000_000));
        for text in ["", "aponta_backup_last_success_timestamp_seconds{type=\"full\"} 0", "lixo 1"] {
            assert_eq!(newest(text), None, "{text:?}");
        }
    }
}
