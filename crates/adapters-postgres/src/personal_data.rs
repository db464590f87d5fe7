//! Personal data: everything that names a person, for the rights of data subjects.
//!
//! Time entries name the person who did the work by id, name and e-mail address. Atividades name their author by e-mail
//! address or id. Idempotency keys belong to an id, and their responses repeat entries and atividades of that person. Until the
//! hours of a work item are written, `escritas` has the id of the person whose entry made them pending.

use std::io;

use domain::{Apontamento, Error};
use futures_util::TryStreamExt as _;
use sea_orm::sqlx::{self, AssertSqlSafe, FromRow, Row as _, postgres::PgRow};
use sea_orm::{DbErr, FromQueryResult as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::apontamento_query::{columns, joins};
use crate::apontamento_row::ApontamentoRow;
use crate::maintenance::{Maintenance, View, statement};
use crate::{Config, db_error};

/// A person as stored rows name them, and the number of those rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id. Of a person without time entries, what the caller asked for.
    pub id: String,
    /// The names in time entries.
    pub names: Vec<String>,
    /// The e-mail addresses in time entries, in lower case. Of a person without any, what the caller asked for.
    pub emails: Vec<String>,
    /// The addresses among [`Self::emails`] and the id that are also an address of another person. Atividades that only such
    /// an address names as their author are not those of this person.
    pub shared: Vec<String>,
    /// The number of time entries.
    pub entries: i64,
    /// The number of minutes in them.
    pub minutes: i64,
    /// The number of atividades that name the person as their author.
    pub activities: i64,
    /// The number of idempotency keys.
    pub keys: i64,
}

/// A row that names a person.
#[derive(Debug)]
pub enum PersonalRecord {
    /// The person, before all rows.
    Person(Person),
    /// A time entry.
    Entry(Box<Apontamento>),
    /// An atividade of which the person is the author.
    Activity {
        /// The id.
        id: Uuid,
        /// The name.
        nome: String,
        /// The author as stored.
        criado_por: String,
        /// The time of creation.
        criado_em: OffsetDateTime,
    },
    /// An idempotency key of a request of the person.
    Key {
        /// The key as the client sent it.
        chave: String,
        /// The time of the request.
        criado_em: OffsetDateTime,
    },
}

/// The identity that replaces that of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pseudonym {
    /// The id, also as author.
    pub id: String,
    /// The name.
    pub name: String,
}

/// Why personal data was neither read nor changed.
#[derive(Debug, thiserror::Error)]
pub enum PersonalDataError {
    /// No row names the person.
    #[error("no row names this person: give the id or the e-mail address as time entries show it")]
    Unknown,
    /// Several persons have that e-mail address.
    #[error("several persons have this e-mail address, so give the id of one: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// The records could not be written.
    #[error("{0}")]
    Output(#[from] io::Error),
    /// The database failed. Nothing was changed.
    #[error("the database failed, and nothing was changed: {0}")]
    Database(String),
}

impl From<sqlx::Error> for PersonalDataError {
    fn from(error: sqlx::Error) -> Self {
        db_error::statement_failed(error).into()
    }
}

impl From<DbErr> for PersonalDataError {
    fn from(error: DbErr) -> Self {
        Self::Database(db_error::reason(&error))
    }
}

/// Reads and replaces personal data in the schema of a tenant.
#[derive(Debug, Clone)]
pub struct PersonalData(Config);

impl PersonalData {
    /// Creates it for the database and schema of `config`.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self(config)
    }

    /// Finds a person by id or, if no entry has that id, by e-mail address in any case.
    ///
    /// # Errors
    /// `Unknown`, `Ambiguous`, `Database`.
    pub async fn find(&self, usuario: &str) -> Result<Person, PersonalDataError> {
        find(&mut Maintenance::begin(&self.0, View::Snapshot).await?, usuario).await
    }

    /// Passes everything that names a person to `consume`, as it was at one moment, without holding it in memory. Returns
    /// the person.
    ///
    /// # Errors
    /// `Unknown`, `Ambiguous`, `Database`, and the first error of `consume`.
    pub async fn export(
        &self,
        usuario: &str,
        mut consume: impl FnMut(PersonalRecord) -> io::Result<()>,
    ) -> Result<Person, PersonalDataError> {
        let mut transaction = Maintenance::begin(&self.0, View::Snapshot).await?;
        let person = find(&mut transaction, usuario).await?;
        consume(PersonalRecord::Person(person.clone()))?;
        let connection = &mut transaction.connection;
        let (columns, joins) = (columns(true), joins(true));
        let entries = format!(
            "SELECT {columns} FROM apontamentos e {joins} WHERE e.usuario_id = $1
             ORDER BY e.data, e.criado_em, e.id"
        );
        let mut rows = sqlx::query(AssertSqlSafe(entries)).persistent(false).bind(&person.id).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let row = ApontamentoRow::from_query_result(&row.into(), "")?;
            let entry = Apontamento::try_from(row).map_err(|error| unreadable(&error))?;
            consume(PersonalRecord::Entry(Box::new(entry)))?;
        }
        drop(rows);
        let activities = statement(
            "SELECT id, nome, criado_por, criado_em FROM atividades
             WHERE criado_por = ANY($1) OR lower(criado_por) = ANY($2) ORDER BY id",
        );
        let (ids, emails) = person.authors();
        let mut rows = activities.bind(ids).bind(emails).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let (id, nome, criado_por, criado_em) = FromRow::from_row(&row)?;
            consume(PersonalRecord::Activity { id, nome, criado_por, criado_em })?;
        }
        drop(rows);
        let keys = "SELECT chave, criado_em FROM idempotencia WHERE usuario = $1 ORDER BY criado_em, chave";
        let mut rows = statement(keys).bind(&person.id).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let (chave, criado_em) = FromRow::from_row(&row)?;
            consume(PersonalRecord::Key { chave, criado_em })?;
        }
        drop(rows);
        Ok(person)
    }

    /// Replaces id, name and e-mail address of a person by a new pseudonym in all rows, and deletes the person's idempotency
    /// keys. Everything else stays, so the sums of hours do too. Returns the person and the pseudonym.
    ///
    /// The pseudonym is random: one that is computed from the id names the person for everybody who knows the id.
    ///
    /// # Errors
    /// `Unknown`, `Ambiguous`, `Database`.
    pub async fn anonymize(
        &self,
        usuario: &str,
        now: OffsetDateTime,
    ) -> Result<(Person, Pseudonym), PersonalDataError> {
        let mut transaction = Maintenance::begin(&self.0, View::Current).await?;
        // A second call for the same person waits, and then finds no row.
        transaction.lock(&format!("aponta privacidade {}", self.0.schema.as_str())).await?;
        let person = find(&mut transaction, usuario).await?;
        let pseudonym = Pseudonym::new();
        let entries = statement(
            "UPDATE apontamentos
             SET usuario_id = $2, usuario_nome = $3, usuario_email = NULL,
                 atualizado_em = GREATEST($4, atualizado_em + interval '1 microsecond')
             WHERE usuario_id = $1",
        );
        let entries = entries.bind(&person.id).bind(&pseudonym.id).bind(&pseudonym.name).bind(now);
        entries.execute(&mut transaction.connection).await?;
        let activities = statement(
            "UPDATE atividades
             SET criado_por = $3, atualizado_em = GREATEST($4, atualizado_em + interval '1 microsecond')
             WHERE criado_por = ANY($1) OR lower(criado_por) = ANY($2)",
        );
        let (ids, emails) = person.authors();
        let activities = activities.bind(ids).bind(emails).bind(&pseudonym.id).bind(now);
        activities.execute(&mut transaction.connection).await?;
        let turns = statement("UPDATE escritas SET usuario_id = $2 WHERE usuario_id = $1");
        turns.bind(&person.id).bind(&pseudonym.id).execute(&mut transaction.connection).await?;
        let keys = statement("DELETE FROM idempotencia WHERE usuario = $1").bind(&person.id);
        keys.execute(&mut transaction.connection).await?;
        transaction.commit().await?;
        Ok((person, pseudonym))
    }
}

impl Person {
    /// Returns the ids and the addresses, in lower case, by which atividades name the person as their author.
    fn authors(&self) -> (Vec<&str>, Vec<&str>) {
        let own = |name: &&String| !self.shared.contains(name);
        let ids = [&self.id].into_iter().filter(own).map(String::as_str).collect();
        (ids, self.emails.iter().filter(own).map(String::as_str).collect())
    }
}

impl Pseudonym {
    fn new() -> Self {
        let id = Uuid::now_v7().simple().to_string();
        // The end is the random part.
        let short = id.get(24..).unwrap_or_default().to_owned();
        Self { id: format!("anonimo-{id}"), name: format!("Pessoa anônima {short}") }
    }
}

async fn find(transaction: &mut Maintenance, usuario: &str) -> Result<Person, PersonalDataError> {
    let connection = &mut transaction.connection;
    let ids = statement(
        "SELECT $1 WHERE EXISTS (SELECT FROM apontamentos WHERE usuario_id = $1)
         UNION ALL
         (SELECT DISTINCT usuario_id FROM apontamentos
          WHERE lower(usuario_email) = lower($1) AND NOT EXISTS (SELECT FROM apontamentos WHERE usuario_id = $1)
          ORDER BY 1)",
    );
    let ids = ids.bind(usuario).fetch_all(&mut *connection).await?;
    let mut ids: Vec<String> = ids.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if 1 < ids.len() {
        return Err(PersonalDataError::Ambiguous(ids));
    }
    let id = ids.pop().unwrap_or_else(|| usuario.to_owned());
    let of_entries = statement(
        "SELECT COALESCE(array_agg(DISTINCT usuario_nome), '{}') AS names,
                COALESCE(array_agg(DISTINCT lower(usuario_email)) FILTER (WHERE usuario_email IS NOT NULL),
                         CASE WHEN count(*) = 0 AND $2 LIKE '%@%' THEN ARRAY[lower($2)] ELSE '{}' END) AS emails,
                count(*) AS entries, COALESCE(sum(minutos), 0)::bigint AS minutes
         FROM apontamentos WHERE usuario_id = $1",
    );
    let row = of_entries.bind(&id).bind(usuario).fetch_one(&mut *connection).await?;
    let mut person = Person {
        id,
        names: row.try_get("names")?,
        emails: row.try_get("emails")?,
        shared: Vec::new(),
        entries: row.try_get("entries")?,
        minutes: row.try_get("minutes")?,
        activities: 0,
        keys: 0,
    };
    let shared = statement(
        "SELECT name FROM unnest($1::text[] || $2) AS names (name)
         WHERE EXISTS (SELECT FROM apontamentos WHERE lower(usuario_email) = lower(name) AND usuario_id <> $2)",
    );
    let shared = shared.bind(&person.emails).bind(&person.id).fetch_all(&mut *connection).await?;
    person.shared = shared.iter().map(|row: &PgRow| row.try_get(0)).collect::<Result<_, _>>()?;
    let others = statement(
        "SELECT (SELECT count(*) FROM atividades WHERE criado_por = ANY($1) OR lower(criado_por) = ANY($2)),
                (SELECT count(*) FROM idempotencia WHERE usuario = $3)",
    );
    let (ids, emails) = person.authors();
    let row = others.bind(ids).bind(emails).bind(&person.id).fetch_one(&mut *connection).await?;
    (person.activities, person.keys) = FromRow::from_row(&row)?;
    if person.entries == 0 && person.activities == 0 && person.keys == 0 {
        return Err(PersonalDataError::Unknown);
    }
    Ok(person)
}

fn unreadable(error: &Error) -> PersonalDataError {
    PersonalDataError::Database(format!("a stored time entry is invalid: {error:?}"))
}
