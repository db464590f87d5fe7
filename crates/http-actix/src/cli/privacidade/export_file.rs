//! The file of an export: JSON lines with the fields of the API.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use adapters_postgres::{Person, PersonalRecord};
use http_api::{ApontamentoResponse, Timestamp};
use serde::Serialize;
use uuid::Uuid;

/// A line.
#[derive(Serialize)]
#[serde(tag = "tipo", rename_all = "snake_case")]
enum Line {
    /// The first line. It has the number of the others, so a reader knows whether the file is complete.
    Titular {
        id: String,
        nomes: Vec<String>,
        emails: Vec<String>,
        apontamentos: i64,
        minutos: i64,
        atividades: i64,
        chaves_de_idempotencia: i64,
    },
    Apontamento(Box<ApontamentoResponse>),
    Atividade {
        id: Uuid,
        nome: String,
        criado_por: String,
        criado_em: Timestamp,
    },
    ChaveDeIdempotencia {
        chave: String,
        criado_em: Timestamp,
    },
}

impl From<PersonalRecord> for Line {
    fn from(record: PersonalRecord) -> Self {
        match record {
            PersonalRecord::Person(person) => {
                let Person { id, names, emails, shared: _, entries, minutes, activities, keys } = person;
                Self::Titular {
                    id,
                    nomes: names,
                    emails,
                    apontamentos: entries,
                    minutos: minutes,
                    atividades: activities,
                    chaves_de_idempotencia: keys,
                }
            }
            PersonalRecord::Entry(entry) => Self::Apontamento(Box::new((*entry).into())),
            PersonalRecord::Activity { id, nome, criado_por, criado_em } => {
                Self::Atividade { id, nome, criado_por, criado_em: Timestamp(criado_em) }
            }
            PersonalRecord::Key { chave, criado_em } => {
                Self::ChaveDeIdempotencia { chave, criado_em: Timestamp(criado_em) }
            }
        }
    }
}

/// Writes `record` as one line.
///
/// # Errors
/// If it cannot be written.
pub fn write_line(out: &mut impl Write, record: PersonalRecord) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Line::from(record))?;
    out.write_all(b"\n")
}

/// A new file, removed on drop unless it is [finished](Self::finish).
pub struct ExportFile {
    path: PathBuf,
    writer: BufWriter<File>,
    is_finished: bool,
}

impl ExportFile {
    /// Creates the file, which only its owner can read.
    ///
    /// # Errors
    /// If it exists, also as a link, or cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let writer = BufWriter::new(options.open(path)?);
        Ok(Self { path: path.to_owned(), writer, is_finished: false })
    }

    /// Writes `record` as one line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, record: PersonalRecord) -> io::Result<()> {
        write_line(&mut self.writer, record)
    }

    /// Keeps the file, once the disk has all of it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for ExportFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // The command reports the error that led here.
            let _ = fs::remove_file(&self.path);
        }
    }
}
