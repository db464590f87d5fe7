//! The backups: the age of the last success, and the state of the WAL archive.

use std::path::Path;

use adapters_postgres::Archive;
use time::{Duration, OffsetDateTime};

use super::report::Report;

/// Backups run daily; a run takes up to two hours.
const MAX_AGE: Duration = Duration::hours(26);
/// The metric that the backups write, one sample per kind of backup.
const METRIC: &str = "aponta_backup_last_success_timestamp_seconds";

/// Checks the metrics in `file` and the archive of the database.
pub fn check(file: Option<&Path>, archive: Option<Archive>, report: &mut Report) {
    match file {
        None => report.note("backups", "not checked: name their metrics file with --backups FILE"),
        Some(file) => check_file(file, report),
    }
    match archive {
        None => {
            report.note("archive", "the database has none: a restore loses all changes since the last backup");
        }
        Some(Archive { is_failing: true, .. }) => {
            report.wrong("archive", "the last WAL segment could not be archived: read the log of PostgreSQL");
        }
        Some(Archive { last: None, .. }) => report.note("archive", "no WAL segment was archived yet"),
        Some(Archive { last: Some(last), .. }) => {
            let age = (OffsetDateTime::now_utc() - last).whole_seconds();
            report.ok("archive", format_args!("the last WAL segment was archived {age} s ago"));
        }
    }
}

fn check_file(file: &Path, report: &mut Report) {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            return report.wrong("backups", format_args!("{}: {error}: has a backup ever run?", file.display()));
        }
    };
    let Some(last) = newest(&text) else {
        return report.wrong("backups", format_args!("{} contains no successful backup: run one", file.display()));
    };
    let age = OffsetDateTime::now_utc() - last;
    let hours = age.whole_hours();
    if age <= MAX_AGE {
        report.ok("backups", format_args!("the last success was {hours} h ago"));
    } else {
        report.wrong("backups", format_args!("the last success was {hours} h ago: read the log of the backups"));
    }
}

/// The time of the newest successful backup in the metrics.
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
    fn newest_of_several_kinds_returns_the_latest_time() {
        let text = "# HELP x\naponta_backup_last_success_timestamp_seconds{type=\"full\"} 1700000000\n\
                    aponta_backup_last_success_timestamp_seconds{type=\"incr\"} 1.7e9\naponta_backup_size_bytes 9e9\n";
        assert_eq!(newest(text).map(OffsetDateTime::unix_timestamp), Some(1_700_000_000));
        for text in ["", "aponta_backup_last_success_timestamp_seconds{type=\"full\"} 0", "lixo 1"] {
            assert_eq!(newest(text), None, "{text:?}");
        }
    }
}
