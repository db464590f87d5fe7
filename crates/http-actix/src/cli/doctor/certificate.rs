//! The certificate of the proxy.

use std::path::Path;

use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;

use super::report::Report;

/// Whoever renews by hand needs some days.
const ENOUGH_DAYS: i64 = 30;

/// Looks at the dates of the certificate in `file`.
pub fn look(file: Option<&Path>, report: &mut Report) {
    const TOPIC: &str = "certificate";
    let Some(file) = file else {
        return report.note(TOPIC, "not looked at: name it with --certificate FILE");
    };
    let dates = match dates(file) {
        Ok(dates) => dates,
        Err(reason) => return report.wrong(TOPIC, format_args!("{}: {reason}", file.display())),
    };
    let (begin, end) = dates;
    let now = OffsetDateTime::now_utc();
    let (days, date) = ((end - now).whole_days(), end.date());
    if now < begin {
        report.wrong(TOPIC, format_args!("begins on {} only", begin.date()));
    } else if end <= now {
        report.wrong(TOPIC, format_args!("ended on {date}: install a new one"));
    } else if days < ENOUGH_DAYS {
        report.wrong(TOPIC, format_args!("ends on {date}, in {days} days: install a new one"));
    } else {
        report.ok(TOPIC, format_args!("ends on {date}, in {days} days"));
    }
}

/// From when until when the first certificate of `file` is valid.
fn dates(file: &Path) -> Result<(OffsetDateTime, OffsetDateTime), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    let no_certificate = || "is no certificate in PEM".to_owned();
    let (_, pem) = parse_x509_pem(&bytes).map_err(|_| no_certificate())?;
    let certificate = pem.parse_x509().map_err(|_| no_certificate())?;
    let validity = certificate.validity();
    Ok((validity.not_before.to_datetime(), validity.not_after.to_datetime()))
}
