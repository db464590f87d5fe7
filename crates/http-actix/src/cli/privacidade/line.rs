//! The lines of an export: JSON with the fields of the API.

use std::io::{self, Write};

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
