//! The atividade of requests and responses, with nothing copied out of the row.

use std::borrow::Cow;
use std::error::Error;

use serde::{Deserialize, Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset};
use tokio_postgres::Row;
use uuid::Uuid;

/// What a create says.
#[derive(Deserialize)]
pub struct NovaAtividade {
    pub nome: String,
    pub descricao: Option<String>,
    #[serde(default = "ativo_default")]
    pub ativo: bool,
    pub id_projeto: Uuid,
}

const fn ativo_default() -> bool {
    true
}

#[derive(Serialize)]
pub struct Atividade<'a> {
    id: Uuid,
    nome: &'a str,
    descricao: Option<&'a str>,
    ativo: bool,
    id_projeto: Uuid,
    nome_projeto: &'a str,
    criado_por: Option<&'a str>,
    #[serde(serialize_with = "timestamp")]
    criado_em: OffsetDateTime,
    #[serde(serialize_with = "timestamp")]
    atualizado_em: OffsetDateTime,
    projetos: Vec<Projeto<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Projeto<'a> {
    id: Uuid,
    #[serde(borrow)]
    nome: Cow<'a, str>,
}

#[derive(Serialize)]
pub struct Pagina<'a> {
    pub items: Vec<Atividade<'a>>,
    pub total: i64,
}

/// The atividade in a row, whose columns have this order. The projetos after the first are JSON, or NULL if there are none.
pub fn of(row: &Row) -> Result<Atividade<'_>, Box<dyn Error>> {
    let (id_projeto, nome_projeto) = (row.try_get(4)?, row.try_get(5)?);
    let mut projetos = vec![Projeto { id: id_projeto, nome: Cow::Borrowed(nome_projeto) }];
    if let Some(outros) = row.try_get::<_, Option<&str>>(9)? {
        projetos.extend(serde_json::from_str::<Vec<Projeto<'_>>>(outros)?);
    }
    Ok(Atividade {
        id: row.try_get(0)?,
        nome: row.try_get(1)?,
        descricao: row.try_get(2)?,
        ativo: row.try_get(3)?,
        id_projeto,
        nome_projeto,
        criado_por: row.try_get(6)?,
        criado_em: row.try_get(7)?,
        atualizado_em: row.try_get(8)?,
        projetos,
    })
}

/// RFC 3339 with six digits; formatting by a description would take several times as long.
fn timestamp<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let at = at.to_offset(UtcOffset::UTC);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let (date, clock, fraction) = (0..10, 11..19, 20..26);
    let fields = [
        (date.start..4, at.year().unsigned_abs()),
        (5..7, u8::from(at.month()).into()),
        (8..date.end, at.day().into()),
        (clock.start..13, at.hour().into()),
        (14..16, at.minute().into()),
        (17..clock.end, at.second().into()),
        (fraction, at.microsecond()),
    ];
    for (place, mut value) in fields {
        for digit in text.get_mut(place).into_iter().flatten().rev() {
            *digit += u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
        }
    }
    serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
}
