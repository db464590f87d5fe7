//! `aponta privacidade`: the rights of data subjects (LGPD), described in `docs/privacy.md`.

mod line;

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use adapters_postgres::{Person, PersonalData, PersonalDataError};
use clap::{Args, Subcommand};
use domain::{Clock as _, hours_and_minutes};

use self::line::write_line;
use super::new_file::NewFile;
use super::output::print_line;
use crate::error::CliError;
use crate::wiring::{SystemClock, database};

/// What happens with the data of a person.
#[derive(Subcommand)]
pub enum Action {
    /// Write everything that names the person to a new file, one JSON object per line
    Exportar {
        #[command(flatten)]
        person: PersonArgument,
        /// The file to create, which only its owner can read, or - for standard output
        #[arg(long, value_name = "FILE")]
        arquivo: PathBuf,
    },
    /// Replace id, name and e-mail address of the person by a random pseudonym; the hours stay. Without --yes, only count
    Anonimizar {
        #[command(flatten)]
        person: PersonArgument,
        /// Change the rows; this cannot be undone
        #[arg(long)]
        yes: bool,
    },
}

/// The person.
#[derive(Args)]
pub struct PersonArgument {
    /// The id of the person or, if no time entry has that id, the e-mail address in any case
    #[arg(long, value_name = "ID|E-MAIL")]
    usuario: String,
}

/// Exports or anonymises the data of a person.
///
/// # Errors
/// If a setting is wrong, no row or several persons match, the file exists or cannot be written, or the database fails.
pub async fn run(action: Action) -> Result<(), CliError> {
    let (_, config) = super::settings(database::config)?;
    let data = PersonalData::new(config);
    match action {
        Action::Exportar { person, arquivo } => export(&data, &person.usuario, &arquivo).await,
        Action::Anonimizar { person, yes: true } => anonymize(&data, &person.usuario).await,
        Action::Anonimizar { person, yes: false } => {
            print_person(&data.find(&person.usuario).await.map_err(CliError::new)?)?;
            print_line("nothing was changed: --yes replaces the person by a pseudonym, which cannot be undone")
        }
    }
}

async fn export(data: &PersonalData, usuario: &str, path: &Path) -> Result<(), CliError> {
    if path == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        data.export(usuario, |record| write_line(&mut out, record)).await.map_err(output_error)?;
        return out.flush().map_err(|error| CliError::of_output(&error));
    }
    let failed = |error: io::Error| CliError::new(format_args!("cannot write {}: {error}", path.display()));
    let mut file = NewFile::create(path).map_err(failed)?;
    let person = data.export(usuario, |record| write_line(&mut file, record)).await.map_err(|error| match error {
        PersonalDataError::Output(error) => failed(error),
        error => CliError::new(error),
    })?;
    file.finish().map_err(failed)?;
    print_person(&person)?;
    print_line(format_args!("written to {}", path.display()))
}

fn output_error(error: PersonalDataError) -> CliError {
    match error {
        PersonalDataError::Output(error) => CliError::of_output(&error),
        error => CliError::new(error),
    }
}

async fn anonymize(data: &PersonalData, usuario: &str) -> Result<(), CliError> {
    let (person, pseudonym) = data.anonymize(usuario, SystemClock.now()).await.map_err(CliError::new)?;
    print_person(&person)?;
    print_line(format_args!("replaced by {} ({})", pseudonym.id, pseudonym.name))
}

fn print_person(person: &Person) -> Result<(), CliError> {
    let Person { id, names, emails, shared, entries, minutes, activities, keys } = person;
    let hours = hours_and_minutes(minutes.unsigned_abs());
    // Names and addresses are texts of other systems: `Debug` escapes what would confuse a terminal.
    print_line(format_args!("person       {id:?}, names {names:?}, e-mail addresses {emails:?}"))?;
    print_line(format_args!("time entries {entries}, {hours} hours"))?;
    print_line(format_args!("activities   {activities} created"))?;
    print_line(format_args!("keys         {keys} of requests of the last day"))?;
    if shared.is_empty() {
        return Ok(());
    }
    print_line(format_args!(
        "warning      {shared:?} also name another person, so activities with such an author are left out"
    ))
}
