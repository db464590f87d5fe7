//! `aponta import`: takes over the database of the FastAPI service.

mod report;

use std::fs;
use std::path::{Path, PathBuf};

use adapters_postgres::{
    Config, Decision, FastApiImport, ImportError, ImportOutcome, ImportRequest, SchemaName, Undone,
};
use clap::Args;
use csv::Writer;
use secrecy::SecretString;

use super::new_file::NewFile;
use super::output::print_line;
use crate::error::CliError;
use crate::wiring::database;

/// What to import and how.
#[derive(Args)]
pub struct Options {
    /// The old tables: a schema of the service's database, the URL of another database, or @ and a file with either
    #[arg(long, value_name = "SCHEMA|URL|@FILE", required_unless_present = "undo")]
    from: Option<String>,
    /// The schema in another database, if several have such tables
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,
    /// The time zone in which the old server wrote local times, that of its database by default
    #[arg(long, value_name = "NAME")]
    timezone: Option<String>,
    /// Take what changed since the last import
    #[arg(long, conflicts_with = "undo")]
    again: bool,
    /// Move the new tables aside, and the old ones back
    #[arg(long, conflicts_with_all = ["from", "schema", "timezone", "report"])]
    undo: bool,
    /// Change the database
    #[arg(long)]
    yes: bool,
    /// Write every decision about a row to this new file, as CSV; only its owner can read it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Imports, undoes an import, or reports what that would do.
///
/// # Errors
/// If a setting or an argument is wrong, rows cannot be taken, the hours differ, or a database fails; then nothing was
/// changed.
pub async fn run(options: Options) -> Result<(), CliError> {
    let (_, config) = super::settings(database::config)?;
    let import = FastApiImport::new(config);
    if let Some(from) = &options.from {
        return run_import(&import, request(from, &options)?, options.report.as_deref()).await;
    }
    let undone = import.undo(options.yes).await.map_err(CliError::new)?;
    print_undone(&undone, options.yes)
}

fn request(from: &str, options: &Options) -> Result<ImportRequest, CliError> {
    let parse = |name: &str| {
        SchemaName::parse(name).map_err(|error| CliError::new(format_args!("the schema {name:?} is not one: {error}")))
    };
    let named = options.schema.as_deref().map(parse).transpose()?;
    // Arguments are visible in the list of processes, and a URL may contain a password.
    let from = from.strip_prefix('@').map_or_else(|| Ok(from.to_owned()), read_file)?;
    let (database, schema) = if from.contains("://") {
        let url = SecretString::from(from);
        let any = parse("public")?;
        let config = Config::from_url(&url, any).map_err(|error| CliError::new(format_args!("--from: {error}")))?;
        (Some(config), named)
    } else if named.is_some() {
        return Err(CliError::new("--schema is for --from with a URL: here --from is the schema"));
    } else {
        (None, Some(parse(&from)?))
    };
    let (time_zone, again, apply) = (options.timezone.clone(), options.again, options.yes);
    Ok(ImportRequest { from: database, schema, time_zone, again, apply })
}

/// Reads the first line of a file.
fn read_file(path: &str) -> Result<String, CliError> {
    let text = fs::read_to_string(path).map_err(|error| CliError::new(format_args!("cannot read {path}: {error}")))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

async fn run_import(import: &FastApiImport, request: ImportRequest, report: Option<&Path>) -> Result<(), CliError> {
    let Some(path) = report else {
        return finish(&import.run(request, |_| Ok(())).await.map_err(CliError::new)?);
    };
    let failed = |error: std::io::Error| CliError::new(format_args!("cannot write {}: {error}", path.display()));
    let mut file = NewFile::create(path).map_err(failed)?;
    let mut writer = Writer::from_writer(&mut file);
    report::write_header(&mut writer).map_err(failed)?;
    let written = import.run(request, |decision: Decision| report::write(&mut writer, &decision)).await;
    let outcome = written.map_err(|error| match error {
        ImportError::Output(error) => failed(error),
        error => CliError::new(error),
    })?;
    writer.flush().map_err(failed)?;
    drop(writer);
    file.finish().map_err(failed)?;
    finish(&outcome)
}

/// Prints the outcome.
fn finish(outcome: &ImportOutcome) -> Result<(), CliError> {
    let report = match outcome {
        ImportOutcome::DoneBefore(time) => {
            return print_line(format_args!(
                "imported before, on {time}: nothing to do; --again takes what changed since"
            ));
        }
        ImportOutcome::Applied(report) | ImportOutcome::Possible(report) | ImportOutcome::Impossible(report) => report,
    };
    report::lines(report).iter().try_for_each(print_line)?;
    match outcome {
        ImportOutcome::Impossible(_) => {
            Err(CliError::new("nothing was changed: correct the rows above in the old service"))
        }
        ImportOutcome::Applied(_) => print_line("imported"),
        _ => print_line("nothing was changed: --yes imports"),
    }
}

fn print_undone(undone: &Undone, is_applied: bool) -> Result<(), CliError> {
    let Undone { kept_in, is_moved_back, newer } = undone;
    print_line(format_args!("new tables    move to the schema {:?}", kept_in.as_str()))?;
    print_line(format_args!("newer rows    {newer} were made or changed since the import and will be there only"))?;
    if *is_moved_back {
        print_line("old tables    move back")?;
    }
    print_line(if is_applied { "undone" } else { "nothing was changed: --yes undoes the import" })
}
