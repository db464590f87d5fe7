//! A few connections of one worker, used in turn. A pipelined connection takes the next statement before the last one
//! has returned, so no request waits for a free connection. Otherwise statements run one after the other, as in a pool.

use std::cell::Cell;
use std::io;

use actix_web::rt;
use futures_util::future::try_join_all;
use futures_util::lock::{Mutex, MutexGuard};
use time::OffsetDateTime;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};
use uuid::Uuid;

use crate::atividade::NovaAtividade;

/// Most activities have one projeto, so the others are looked for first.
const FIND: &str = "
    SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, p.nome, a.criado_por, a.criado_em, a.atualizado_em,
           CASE WHEN EXISTS (SELECT FROM atividade_projetos l WHERE l.id_atividade = a.id) THEN
               (SELECT jsonb_agg(jsonb_build_object('id', l.id_projeto, 'nome', (SELECT o.nome FROM projetos o WHERE o.id = l.id_projeto))
                                 ORDER BY l.lugar)::text
                FROM atividade_projetos l WHERE l.id_atividade = a.id) END
    FROM atividades a JOIN projetos p ON p.id = a.id_projeto WHERE a.id = $1";

/// The page is cut before its rows meet their projetos, and those after the first are read once for all rows.
const LIST: &str = "
    WITH linhas AS MATERIALIZED (SELECT * FROM atividades ORDER BY criado_em DESC, id DESC LIMIT $2 OFFSET $1),
    outros AS MATERIALIZED (
        SELECT l.id_atividade, jsonb_agg(jsonb_build_object('id', o.id, 'nome', o.nome) ORDER BY l.lugar)::text AS projetos
        FROM atividade_projetos l JOIN projetos o ON o.id = l.id_projeto
        WHERE l.id_atividade IN (SELECT id FROM linhas) GROUP BY l.id_atividade
    )
    SELECT a.id, a.nome, a.descricao, a.ativo, a.id_projeto, p.nome, a.criado_por, a.criado_em, a.atualizado_em, o.projetos,
           (SELECT count(*) FROM atividades)
    FROM linhas a JOIN projetos p ON p.id = a.id_projeto LEFT JOIN outros o ON o.id_atividade = a.id
    ORDER BY a.criado_em DESC, a.id DESC";

const COUNT: &str = "SELECT count(*) FROM atividades";

const INSERT: &str = "
    INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
    SELECT $1, $2, $3, $4, p.id, 'dev@localhost', $6, $6 FROM projetos p WHERE p.id = $5
    RETURNING id, nome, descricao, ativo, id_projeto, (SELECT p.nome FROM projetos p WHERE p.id = id_projeto),
              criado_por, criado_em, atualizado_em, NULL::text";

pub struct Database {
    connections: Vec<Connection>,
    next: Cell<usize>,
    pipelined: bool,
}

struct Connection {
    client: Client,
    find: Statement,
    list: Statement,
    count: Statement,
    insert: Statement,
    turn: Mutex<()>,
}

impl Database {
    pub async fn connect(url: String, connections: usize, pipelined: bool) -> Result<Self, Error> {
        let connections = try_join_all((0..connections).map(|_| Connection::open(&url))).await?;
        Ok(Self { connections, next: Cell::new(0), pipelined })
    }

    pub async fn find(&self, id: Uuid) -> io::Result<Option<Row>> {
        let (Connection { client, find, .. }, _turn) = self.connection().await?;
        client.query_opt(find, &[&id]).await.map_err(io::Error::other)
    }

    /// One page, and how many there are.
    pub async fn list(&self, skip: i64, limit: i64) -> io::Result<(Vec<Row>, i64)> {
        let (Connection { client, list, count, .. }, _turn) = self.connection().await?;
        let rows = client.query(list, &[&skip, &limit]).await.map_err(io::Error::other)?;
        let total = match rows.first() {
            Some(row) => row.try_get(10),
            None => client.query_one(count, &[]).await.and_then(|row| row.try_get(0)),
        };
        Ok((rows, total.map_err(io::Error::other)?))
    }

    /// The row that was stored, unless there is no such projeto.
    pub async fn insert(&self, nova: &NovaAtividade) -> io::Result<Option<Row>> {
        let (Connection { client, insert, .. }, _turn) = self.connection().await?;
        let NovaAtividade { nome, descricao, ativo, id_projeto } = nova;
        let (id, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
        client.query_opt(insert, &[&id, nome, descricao, ativo, id_projeto, &now]).await.map_err(io::Error::other)
    }

    /// A connection and, unless statements may pile up on it, the turn to use it.
    async fn connection(&self) -> io::Result<(&Connection, Option<MutexGuard<'_, ()>>)> {
        let next = self.next.replace(self.next.get().wrapping_add(1));
        let place = next.checked_rem(self.connections.len());
        let connection = place.and_then(|place| self.connections.get(place));
        let connection = connection.ok_or_else(|| io::Error::other("no connection"))?;
        let turn = if self.pipelined { None } else { Some(connection.turn.lock().await) };
        Ok((connection, turn))
    }
}

impl Connection {
    async fn open(url: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        rt::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("hand-written: {error}");
            }
        });
        Ok(Self {
            find: client.prepare(FIND).await?,
            list: client.prepare(LIST).await?,
            count: client.prepare(COUNT).await?,
            insert: client.prepare(INSERT).await?,
            turn: Mutex::new(()),
            client,
        })
    }
}
