//! Atividades that come one at a time and are stored several at a time.
//!
//! Beginning a statement, counting what it wrote and making it durable costs PostgreSQL several times what a row does.
//! So those that come while others are being stored are stored next, by one statement. Nobody waits for company: the
//! first is stored at once. Each has an answer of its own, after it is durable, and one that is refused does not stand
//! in the way of the others.

use std::collections::HashMap;
use std::fmt;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{AtividadeId, AtividadeRecord, Descricao};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::PostgresDatabase;
use crate::atividade_repository::AtividadeRow;
use crate::connection::Value;
use crate::database::{read_all, traced};
use crate::db_error::DbError;
use crate::pool::{Lease, Use};

const OPERATION: &str = "atividades.insert";

/// How many statements of this kind run at once. One more than one, so that not everybody waits when one waits for a
/// lock; few, so that there is somebody to be stored together with, and connections are left for everything else.
const TURNS: usize = 2;
/// How many one statement stores at most: some milliseconds.
const TOGETHER: usize = 100;

/// Whose projeto is unknown is not among the rows.
const INSERT: &str = "
    INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
    SELECT n.id, n.nome, n.descricao, n.ativo, p.id, n.criado_por, n.criado_em, n.criado_em
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::uuid[], $6::text[], $7::timestamptz[])
         AS n (id, nome, descricao, ativo, id_projeto, criado_por, criado_em)
    JOIN projetos p ON p.id = n.id_projeto
    RETURNING id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em,
              (SELECT p.nome FROM projetos p WHERE p.id = id_projeto)";

/// What was stored, or nothing when there is no such projeto.
type Answer = Result<Option<AtividadeRow>, DbError>;

/// Those that wait to be stored.
pub(crate) struct Insertions {
    database: PostgresDatabase,
    waiting: Mutex<Vec<Insertion>>,
    turns: Arc<Semaphore>,
}

struct Insertion {
    record: AtividadeRecord,
    answer: oneshot::Sender<Answer>,
}

impl Insertions {
    pub(crate) fn new(database: &PostgresDatabase) -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(TURNS));
        Arc::new(Self { database: database.clone(), waiting: Mutex::default(), turns })
    }

    /// Stores `record`, perhaps together with others.
    pub(crate) async fn insert(self: &Arc<Self>, record: AtividadeRecord) -> Answer {
        traced(OPERATION, async {
            let id = record.id;
            let mut answer = self.enter(record)?;
            let answer = match timeout(self.database.config.acquire_timeout, &mut answer).await {
                Ok(answer) => answer,
                Err(_) if self.withdraw(id) => return Err(self.refuse()),
                // It is being stored, which is bounded.
                Err(_) => answer.await,
            };
            answer.unwrap_or(Err(DbError::Closed))
        })
        .await
    }

    /// Puts `record` into the line, and sees to it that somebody stores those who wait there.
    fn enter(self: &Arc<Self>, record: AtividadeRecord) -> Result<oneshot::Receiver<Answer>, DbError> {
        let mut waiting = self.waiting();
        if self.database.pool.room() <= waiting.len() {
            waiting.retain(|insertion| !insertion.answer.is_closed());
            if self.database.pool.room() <= waiting.len() {
                return Err(self.refuse());
            }
        }
        let (answer, answered) = oneshot::channel();
        waiting.push(Insertion { record, answer });
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            tokio::spawn(Arc::clone(self).take_turns(turn));
        }
        Ok(answered)
    }

    /// Whether it still waited.
    fn withdraw(&self, id: AtividadeId) -> bool {
        let mut waiting = self.waiting();
        let place = waiting.iter().position(|insertion| insertion.record.id == id);
        place.map(|place| waiting.remove(place)).is_some()
    }

    fn refuse(&self) -> DbError {
        self.database.metrics.ended(OPERATION, "refused", Duration::ZERO);
        DbError::Crowded
    }

    /// Stores those who wait until nobody does. A task of its own, since clients may give up.
    async fn take_turns(self: Arc<Self>, turn: OwnedSemaphorePermit) {
        let mut turn = Some(turn);
        loop {
            let together = self.next(&mut turn);
            if together.is_empty() {
                return;
            }
            self.store(together).await;
        }
    }

    /// Those who are stored next. If there are none, the turn ends before anybody can come and rely on it.
    fn next(&self, turn: &mut Option<OwnedSemaphorePermit>) -> Vec<Insertion> {
        let mut waiting = self.waiting();
        waiting.retain(|insertion| !insertion.answer.is_closed());
        let together = waiting.len().min(TOGETHER);
        if together == 0 {
            *turn = None;
        }
        waiting.drain(..together).collect()
    }

    async fn store(&self, together: Vec<Insertion>) {
        let (records, answers): (Vec<_>, Vec<_>) =
            together.into_iter().map(|insertion| (insertion.record, insertion.answer)).unzip();
        let mut stored = self.attempt(&records).await.map_err(Arc::new);
        let is_refused = stored.as_ref().is_err_and(|error| !error.is_unavailable());
        for (record, answer) in records.iter().zip(answers) {
            // None is stored when one of them is refused.
            if is_refused && 1 < records.len() {
                stored = self.attempt(slice::from_ref(record)).await.map_err(Arc::new);
            }
            let row = stored.as_mut().map(|rows| rows.remove(&record.id.0));
            drop(answer.send(row.map_err(|error| DbError::Shared(Arc::clone(error)))));
        }
    }

    /// The rows of those that were stored, by their ids.
    async fn attempt(&self, records: &[AtividadeRecord]) -> Result<HashMap<Uuid, AtividadeRow>, DbError> {
        let ids: Vec<_> = records.iter().map(|record| record.id.0).collect();
        let nomes: Vec<_> = records.iter().map(|record| record.nome.as_str()).collect();
        let descricoes: Vec<_> =
            records.iter().map(|record| record.descricao.as_ref().map(Descricao::as_str)).collect();
        let ativos: Vec<_> = records.iter().map(|record| record.ativo).collect();
        let projetos: Vec<_> = records.iter().map(|record| record.projeto.0).collect();
        let autores: Vec<_> = records.iter().map(|record| record.criado_por.as_str()).collect();
        let times: Vec<_> = records.iter().map(|record| record.criado_em).collect();
        let values: [Value<'_>; 7] = [&ids, &nomes, &descricoes, &ativos, &projetos, &autores, &times];
        let limit = self.database.limit(1);
        let insert = |mut lease: Lease| async move { read_all(lease.query(INSERT, &values).await?) };
        let rows: Vec<AtividadeRow> = self.database.bounded(OPERATION, Use::Alone, limit, insert).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Insertion>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Insertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Insertions")
    }
}
