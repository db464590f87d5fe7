//! Where log lines and traces go: lines to standard error, so that what a command prints can be piped, and traces to a
//! collector, if the settings name one.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::time::Duration;

use crate::settings::{SettingFault, Settings, has_credentials};
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

/// How long a stop waits for the last spans to get away.
const FAREWELL: Duration = Duration::from_secs(3);

/// The crates of this service, whose details `debug` shows.
const OURS: &str = "adapters_azure=debug,adapters_postgres=debug,aponta=debug,http_api=debug";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: one short line each.
    Text,
    /// For machines: one JSON object each.
    Json,
}

/// What is logged and exported.
pub struct Wanted {
    filter: Targets,
    format: Format,
    traces: Option<Url>,
}

/// What runs until the end of the process.
#[derive(Default)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Wanted {
    /// What `filter` lets through, in `format`, and no traces.
    #[cfg(feature = "embedded")]
    pub const fn lines(filter: Targets, format: Format) -> Self {
        Self { filter, format, traces: None }
    }

    /// What the settings say.
    pub fn of(settings: &Settings, format: Format) -> Result<Self, Vec<SettingFault>> {
        let filter = filter(&settings.log, settings.debug).map_err(|reason| {
            SettingFault::value("LOG", &settings.log, format!("is not a filter for log lines: {reason}"))
        });
        let traces = settings.otlp_endpoint.as_deref().map(|text| {
            let fault = |problem: &str| SettingFault::value("OTEL_EXPORTER_OTLP_ENDPOINT", text, problem);
            if has_credentials(text) {
                return Err(fault("must hold no credentials: OTEL_EXPORTER_OTLP_HEADERS is for them"));
            }
            if text.contains(['?', '#']) {
                return Err(fault("must have no query or fragment: OTEL_EXPORTER_OTLP_HEADERS is for keys"));
            }
            traces_at(text).ok_or_else(|| fault("is not an http or https address"))
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
        // With one layer the filter is everybody's: a filter of its own is asked about each span that is entered again.
        let registry = tracing_subscriber::registry();
        match exported {
            Some(exported) => registry.with(exported).with(lines(format)?.with_filter(filter)).init(),
            None => registry.with(lines(format)?).with(filter).init(),
        }
        std::panic::set_hook(Box::new(log_panic));
        Ok(Telemetry(provider))
    }
}

impl Telemetry {
    /// Sends what is left to send.
    pub async fn stop(self) {
        if let Some(provider) = self.0 {
            let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL)).await;
            if !matches!(stopped, Ok(Ok(()))) {
                tracing::warn!("the last traces did not reach the collector");
            }
        }
    }
}

fn lines<S>(format: Format) -> Result<Box<dyn Layer<S> + Send + Sync>, CliError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = io::stderr().is_terminal();
    // A line is one write, which needs no lock for which all workers would wait.
    let stderr = stderr().map_err(CliError::new)?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(is_terminal).with_span_events(FmtSpan::NONE);
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

/// Where a collector at the base address `text` takes traces: the specification of the exporter has the path of the
/// signal come after that of the base.
fn traces_at(text: &str) -> Option<Url> {
    let base = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    Url::parse(&format!("{}/v1/traces", base.as_str().trim_end_matches('/'))).ok()
}

/// A panic as a line like every other, within the span of its request.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("no text");
    tracing::error!(location = panic.location().map(field::display), "panicked: {said}");
}

/// Reads a filter: a level, or `target=level` pairs separated by commas; with `debug` our own crates say more.
fn filter(text: &str, debug: bool) -> Result<Targets, String> {
    let said = || text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    // The parser takes a word that is no level for a target, and whoever misspells `info` would hear nothing at all.
    if said().any(|word| !word.contains('=') && word.parse::<LevelFilter>().is_err()) {
        return Err("a part without = must be a level: off, error, warn, info, debug or trace".to_owned());
    }
    let ours = if debug { OURS } else { "" };
    // The driver tells every notice of the server as information, and in its details the values of statements. actix tells
    // as an error of every connection that speaks no HTTP, as scanners open them by the thousand.
    let defaults = ["error", "tokio_postgres=warn", "actix_http::h1=off"];
    let directives =
        defaults.into_iter().chain(ours.split(',').filter(|directive| !directive.is_empty())).chain(said());
    directives.collect::<Vec<_>>().join(",").parse().map_err(|reason: ParseError| reason.to_string())
}

/// Spans that say what kind they are, which are ours; and never what is logged within them.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field("otel.kind").is_some()
}

/// Spans in batches to `address`. What more there is to set has the names of OpenTelemetry in the environment: the
/// sampler, headers, limits (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
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
    fn a_word_that_is_no_level_is_no_filter() {
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
    fn connections_without_http_are_told_to_those_who_ask() {
        let told = |text: &str| filter(text, true).unwrap().would_enable("actix_http::h1::dispatcher", &Level::ERROR);
        assert!(!told("info") && told("info,actix_http::h1=error"));
    }
}
