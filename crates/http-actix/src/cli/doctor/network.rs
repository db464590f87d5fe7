//! Who reaches the ports, and from which addresses the clients seem to come.

use super::report::Report;
use crate::settings::{Environment, Settings};

/// Checks what production exposes to the network.
pub fn check(settings: &Settings, report: &mut Report) {
    let warnings = warnings(settings);
    for (topic, text) in &warnings {
        report.warning(topic, text);
    }
    if warnings.is_empty() {
        report.ok("network", format_args!("listens on {}", settings.listen));
    }
}

/// Returns topic and text of each warning. With a trusted proxy on another host, the ports have to be open to that host.
fn warnings(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut warnings = Vec::new();
    if settings.environment == Environment::Development {
        return warnings;
    }
    if settings.trusted_proxies.is_empty() {
        let text =
            "TRUSTED_PROXIES is unset: behind a proxy, all clients share the limits of its one address".to_owned();
        warnings.push(("proxies", text));
    }
    if settings.trusted_proxies.iter().any(|network| !network.addr().is_loopback()) {
        return warnings;
    }
    if !settings.listen.ip().is_loopback() {
        let text = format!(
            "{} accepts plain HTTP from other hosts: API_HOST=127.0.0.1 behind a proxy with TLS",
            settings.listen
        );
        warnings.push(("TLS", text));
    }
    if let Some(address) = settings.metrics.filter(|address| !address.ip().is_loopback()) {
        warnings.push((
            "metrics",
            format!("{address} gives the metrics to other hosts without a token: API_HOST=127.0.0.1"),
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    const LOCAL: (&str, &str) = ("API_HOST", "127.0.0.1");
    const METRICS: (&str, &str) = ("METRICS_PORT", "9464");

    fn topics(variables: &[(&str, &str)]) -> Vec<&'static str> {
        let sources = Sources::default().with_environment(variables.iter().copied());
        let (settings, ()) = Settings::parse(&sources, |_| Ok(())).unwrap();
        warnings(&settings).into_iter().map(|(topic, _)| topic).collect()
    }

    #[test]
    fn warnings_name_what_other_hosts_reach() {
        let local_proxy = ("TRUSTED_PROXIES", "127.0.0.0/8,::1");
        let other_host = ("TRUSTED_PROXIES", "127.0.0.1,172.16.0.0/12");
        for (variables, expected) in [
            (&[][..], &["proxies", "TLS"][..]),
            (&[METRICS], &["proxies", "TLS", "metrics"]),
            (&[METRICS, LOCAL], &["proxies"]),
            (&[METRICS, local_proxy], &["TLS", "metrics"]),
            (&[METRICS, local_proxy, ("API_HOST", "::")], &["TLS", "metrics"]),
            (&[METRICS, local_proxy, LOCAL], &[]),
            (&[METRICS, local_proxy, ("API_HOST", "::1")], &[]),
            (&[METRICS, other_host], &[]),
            (&[METRICS, ("ENVIRONMENT", "development")], &[]),
        ] {
            assert_eq!(topics(variables), expected, "{variables:?}");
        }
    }
}
