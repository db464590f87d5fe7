//! The certificate of the proxy.

use std::path::Path;

use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;

use super::report::Report;

/// Renewal by hand takes some days.
const MIN_DAYS: i64 = 30;

/// Checks the dates of the certificate in `file`.
pub fn check(file: Option<&Path>, report: &mut Report) {
    const TOPIC: &str = "certificate";
    let Some(file) = file else {
        return report.note(TOPIC, "not checked: name it with --certificate FILE");
    };
    let dates = match dates(file) {
        Ok(dates) => dates,
        Err(reason) => return report.wrong(TOPIC, format_args!("{}: {reason}", file.display())),
    };
    let (begin, end) = dates;
    let now = OffsetDateTime::now_utc();
    let (days, date) = ((end - now).whole_days(), end.date());
    if now < begin {
        report.wrong(TOPIC, format_args!("is not valid before {}", begin.date()));
    } else if end <= now {
        report.wrong(TOPIC, format_args!("ended on {date}: install a new one"));
    } else if days < MIN_DAYS {
        report.wrong(TOPIC, format_args!("ends on {date}, in {days} days: install a new one"));
    } else {
        report.ok(TOPIC, format_args!("ends on {date}, in {days} days"));
    }
}

/// The validity of the first certificate in `file`.
fn dates(file: &Path) -> Result<(OffsetDateTime, OffsetDateTime), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    let not_a_certificate = || "is not a PEM certificate".to_owned();
    let (_, pem) = parse_x509_pem(&bytes).map_err(|_| not_a_certificate())?;
    let certificate = pem.parse_x509().map_err(|_| not_a_certificate())?;
    let validity = certificate.validity();
    Ok((validity.not_before.to_datetime(), validity.not_after.to_datetime()))
}
