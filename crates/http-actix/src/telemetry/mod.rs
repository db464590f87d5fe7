//! Logs and traces. Log lines go to standard error, so that the output of a command can be piped; traces go to a collector,
//! if the settings name one.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::time::Duration;

use crate::settings::{ConfigError, Settings, has_credentials};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::Url;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber, field};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::CliError;

/// The time in which the last spans are exported at shutdown.
const SPAN_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The crates of this service, which log at level debug with `API_DEBUG`.
const OWN_CRATES: &str = "adapters_azure=debug,adapters_postgres=debug,aponta=debug,http_api=debug";

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Short lines, for people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// The configuration of logs and traces.
pub struct TelemetryConfig {
    filter: Targets,
    format: Format,
    traces: Option<Url>,
}

/// The exporter of traces, which runs until the end of the process.
#[derive(Default)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl TelemetryConfig {
    /// Logs that pass `filter`, in `format`, and no traces.
    #[cfg(feature = "embedded")]
    pub const fn logs_only(filter: Targets, format: Format) -> Self {
        Self { filter, format, traces: None }
    }

    /// The configuration by the settings.
    ///
    /// # Errors
    /// Every setting of logs or traces that is wrong.
    pub fn from_settings(settings: &Settings, format: Format) -> Result<Self, Vec<ConfigError>> {
        let filter = filter(&settings.log, settings.debug).map_err(|reason| {
            ConfigError::value("LOG", &settings.log, format!("is not a filter for log lines: {reason}"))
        });
        let traces = settings.otlp_endpoint.as_deref().map(|text| {
            let error = |problem: &str| ConfigError::value("OTEL_EXPORTER_OTLP_ENDPOINT", text, problem);
            if has_credentials(text) {
                return Err(error("must hold no credentials: OTEL_EXPORTER_OTLP_HEADERS is for them"));
            }
            if text.contains(['?', '#']) {
                return Err(error("must have no query or fragment: OTEL_EXPORTER_OTLP_HEADERS is for keys"));
            }
            traces_endpoint(text).ok_or_else(|| error("is not an http or https address"))
        });
        match (filter, traces.transpose()) {
            (Ok(filter), Ok(traces)) => Ok(Self { filter, format, traces }),
            (filter, traces) => Err(filter.err().into_iter().chain(traces.err()).collect()),
        }
    }

    /// Starts logging and exporting.
    ///
    /// # Errors
    /// When no exporter can be made.
    pub fn start(self) -> Result<Telemetry, CliError> {
        let Self { filter, format, traces } = self;
        let provider = traces.map(provider).transpose()?;
        let exported = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("aponta"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_filter(filter_fn(is_exported))
        });
        // Without traces the filter applies to the registry, which is cheaper: a filter of a layer runs again on each entry of a
        // span.
        let registry = tracing_subscriber::registry();
        match exported {
            Some(exported) => registry.with(exported).with(fmt_layer(format)?.with_filter(filter)).init(),
            None => registry.with(fmt_layer(format)?).with(filter).init(),
        }
        std::panic::set_hook(Box::new(log_panic));
        Ok(Telemetry(provider))
    }
}

impl Telemetry {
    /// Exports the remaining spans.
    pub async fn stop(self) {
        if let Some(provider) = self.0 {
            let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(SPAN_FLUSH_TIMEOUT)).await;
            if !matches!(stopped, Ok(Ok(()))) {
                tracing::warn!("last spans not exported");
            }
        }
    }
}

fn fmt_layer<S>(format: Format) -> Result<Box<dyn Layer<S> + Send + Sync>, CliError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = io::stderr().is_terminal();
    // A line is one write to the descriptor; the lock of `io::stderr()` would serialise all workers.
    let stderr = stderr().map_err(CliError::new)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .log_internal_errors(false)
        .with_ansi(is_terminal)
        .with_span_events(FmtSpan::NONE);
    Ok(match format {
        Format::Text => lines.compact().boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    })
}

#[cfg(unix)]
fn stderr() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stderr().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn stderr() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stderr().as_handle().try_clone_to_owned().map(File::from)
}

/// The address of traces at a collector: by OpenTelemetry's specification, the path of the signal is appended to that of the
/// base address `text`.
fn traces_endpoint(text: &str) -> Option<Url> {
    let base = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    Url::parse(&format!("{}/v1/traces", base.as_str().trim_end_matches('/'))).ok()
}

/// Logs a panic within the span of its request.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no text");
    tracing::error!(location = panic.location().map(field::display), "panicked: {message}");
}

/// Parses a filter: a level, or `target=level` pairs separated by commas. With `debug` the crates of this service log more.
fn filter(text: &str, debug: bool) -> Result<Targets, String> {
    let directives = || text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    // The parser takes a misspelt level for a target, and the service would log nothing.
    if directives().any(|word| !word.contains('=') && word.parse::<LevelFilter>().is_err()) {
        return Err("a part without = must be a level: off, error, warn, info, debug or trace".to_owned());
    }
    let own = if debug { OWN_CRATES } else { "" };
    // sqlx logs every notice of PostgreSQL at info, such as each object that a migration does not find. actix logs an error for
    // every connection that does not speak HTTP, which scanners open by the thousand.
    let defaults = ["error", "sqlx::postgres::notice=warn", "actix_http::h1=off"];
    let directives =
        defaults.into_iter().chain(own.split(',').filter(|directive| !directive.is_empty())).chain(directives());
    directives.collect::<Vec<_>>().join(",").parse().map_err(|reason: ParseError| reason.to_string())
}

/// Whether a span is exported: those of this service set `otel.kind`. Events within spans are not exported.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field("otel.kind").is_some()
}

/// Exports spans in batches to `address`. The variables of OpenTelemetry set sampler, headers and limits
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
fn provider(address: Url) -> Result<SdkTracerProvider, CliError> {
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(address).build();
    let exporter = exporter.map_err(|error| CliError::new(format_args!("traces cannot be exported: {error}")))?;
    let mut attributes = vec![KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        attributes.push(KeyValue::new("service.name", "aponta"));
    }
    let resource = Resource::builder().with_attributes(attributes).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn filter_with_a_misspelt_level_is_an_error() {
        for word in ["warning", "inof", "http_api", "info,debugg", "http_api=debug,infor"] {
            let reason = filter(word, false).unwrap_err();
            assert!(reason.contains("must be a level"), "{word}: {reason}");
        }
        assert!(filter("http_api=inof", false).is_err());
        for good in ["", "info", "WARN", "off", "info, http_api::request=off", "error,sqlx=debug,"] {
            assert!(filter(good, false).is_ok(), "{good}");
        }
    }

    #[test]
    fn filter_logs_notices_of_postgresql_only_on_request() {
        let is_logged = |text: &str| filter(text, true).unwrap().would_enable("sqlx::postgres::notice", &Level::INFO);
        assert!(!is_logged("info") && is_logged("info,sqlx::postgres::notice=info"));
    }

    #[test]
    fn filter_logs_connections_without_http_only_on_request() {
        let is_logged =
            |text: &str| filter(text, true).unwrap().would_enable("actix_http::h1::dispatcher", &Level::ERROR);
        assert!(!is_logged("info") && is_logged("info,actix_http::h1=error"));
    }
}
