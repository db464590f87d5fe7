//! The totals that are kept are those that counting would find, at every moment and whoever writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::testing::suite::Repositories;
use domain::testing::{NOW, maria, nome_atividade, novo_projeto};
use domain::{
    Atividade, AtividadePatch, AtividadeQuery, AtividadeRecord, Descricao, Error, Filtro, NovaAtividade, Patch,
    ProjetoId, ProjetoRecord, ProjetoRef,
};
use e2e::postgres::Database;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::support::{config, connect, migrated, repositories};

/// Numbers that are kept and wrong, or not kept. Both are read in one snapshot.
const WRONG: &str = "
    WITH kept AS (
        SELECT id_projeto, ativo, sum(total)::bigint AS total FROM api_aponta.atividades_contagem
        GROUP BY id_projeto, ativo HAVING sum(total) <> 0
    ), counted AS (
        SELECT id_projeto, ativo, count(*) AS total FROM api_aponta.atividades
        GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo))
    )
    SELECT count(*) FROM ((TABLE kept EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE kept)) wrong";

/// Two projetos and a hundred atividades for each.
const INSERT: &str = "
    INSERT INTO api_aponta.projetos (id, nome, criado_em, atualizado_em)
    VALUES (gen_random_uuid(), 'P', now(), now()), (gen_random_uuid(), 'Q', now(), now());
    INSERT INTO api_aponta.atividades (id, nome, ativo, id_projeto, criado_em, atualizado_em)
    SELECT gen_random_uuid(), 'A' || n, n % 2 = 0, id, now(), now()
    FROM generate_series(1, 100) n, api_aponta.projetos;";

/// More writers than a number has parts.
const WRITERS: u32 = 24;

fn record(projeto: ProjetoId, ativo: bool) -> AtividadeRecord {
    let nova = NovaAtividade { nome: nome_atividade("A"), descricao: None, ativo, projeto: ProjetoRef(projeto.0) };
    AtividadeRecord::new(nova, &maria().usuario, NOW)
}

fn assert_exact(database: &Database<'_>) {
    assert_eq!(database.query(WRONG), "0");
}

/// One who writes at random: the same on each run.
struct Writer {
    db: Repositories,
    projetos: Vec<ProjetoId>,
    mine: Vec<Atividade>,
    state: u64,
}

impl Writer {
    fn below(&mut self, end: u64) -> usize {
        // Knuth's MMIX generator; its high bits are good enough.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.state >> 33) % end).unwrap()
    }

    async fn step(&mut self) -> Result<(), Error> {
        let place = self.below(3);
        let projeto = self.projetos[place];
        let ativo = self.below(2) == 0;
        match self.below(6) {
            0 | 1 => self.mine.push(self.db.atividades.insert(record(projeto, ativo)).await?),
            2 => {
                let records = (0..20).map(|n| record(projeto, n % 3 == 0)).collect();
                self.mine.extend(self.db.atividades.insert_all(records, None).await?);
            }
            3 if !self.mine.is_empty() => {
                let place = self.below(self.mine.len() as u64);
                let gone = self.mine.swap_remove(place);
                assert!(self.db.atividades.delete(gone.id, None).await?);
            }
            _ if !self.mine.is_empty() => {
                let place = self.below(self.mine.len() as u64);
                let patch = AtividadePatch {
                    ativo: Some(ativo),
                    projeto: Some(ProjetoRef(projeto.0)),
                    descricao: Patch::Value(Descricao::parse("outra".to_owned()).unwrap()),
                    ..AtividadePatch::default()
                };
                self.db.atividades.update(self.mine[place].id, patch, NOW).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn totals_are_exact_while_many_write() {
    let database = Arc::new(migrated().await);
    let db = repositories(&connect(config(&database).max_connections(WRITERS)).await);
    let mut projetos = Vec::new();
    for n in 0..3 {
        let criado_em = NOW + time::Duration::seconds(n);
        let novo = novo_projeto("P");
        let record = ProjetoRecord { id: ProjetoId::new(criado_em), nome: novo.nome, descricao: None, criado_em };
        projetos.push(db.projetos.insert(record, None).await.unwrap().id);
    }
    let writers: Vec<_> = (0..u64::from(WRITERS))
        .map(|seed| {
            let mut writer = Writer { db: db.clone(), projetos: projetos.clone(), mine: Vec::new(), state: seed };
            tokio::spawn(async move {
                for _ in 0..40 {
                    writer.step().await.unwrap();
                }
                writer.mine.len()
            })
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let looks = tokio::task::spawn_blocking({
        let (done, database) = (Arc::clone(&done), Arc::clone(&database));
        move || {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                assert_exact(&database);
                looks += 1;
            }
            looks
        }
    });

    let mut left = 0;
    for writer in writers {
        left += writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);

    assert!(2 <= looks.await.unwrap(), "nobody looked while the others wrote");
    assert_exact(&database);
    let list = |filtro| db.atividades.list(AtividadeQuery { filtro, ..AtividadeQuery::default() });
    let total = list(Filtro::default()).await.unwrap().total;
    assert_eq!(total, left as u64);
    let mut sum = 0;
    for projeto in projetos {
        for ativo in [true, false] {
            let filtro = Filtro { projeto: Some(ProjetoRef(projeto.0)), ativo: Some(ativo), ..Filtro::default() };
            sum += list(filtro).await.unwrap().total;
        }
    }
    assert_eq!(sum, total);
}

#[tokio::test]
async fn what_was_there_before_counts_as_well() {
    let database = e2e::postgres::Cluster::shared().create_database();
    let tenant = connect(config(&database)).await;
    tenant.migrate_up(Some(3)).await.unwrap();
    database.execute(INSERT);
    tenant.migrate_up(None).await.unwrap();
    assert_exact(&database);
}

#[tokio::test]
async fn what_is_rolled_back_or_done_by_hand_counts_as_well() {
    let database = migrated().await;
    let statements = [
        INSERT.to_owned(),
        format!("BEGIN; {INSERT} ROLLBACK"),
        "BEGIN; SAVEPOINT s; DELETE FROM api_aponta.atividades; ROLLBACK TO s; COMMIT".to_owned(),
        "UPDATE api_aponta.atividades SET ativo = NOT ativo".to_owned(),
        "UPDATE api_aponta.atividades SET nome = 'B' WHERE nome = 'A1'".to_owned(),
        "DELETE FROM api_aponta.atividades WHERE nome LIKE '%5'".to_owned(),
        "DELETE FROM api_aponta.atividades a USING api_aponta.projetos p WHERE p.id = a.id_projeto AND p.nome = 'P';
         DELETE FROM api_aponta.projetos WHERE nome = 'P'"
            .to_owned(),
        "TRUNCATE api_aponta.atividades".to_owned(),
    ];
    for statement in statements {
        database.execute(&statement);
        assert_exact(&database);
    }
}

/// A transaction holds its part of a number until its end, and nobody waits for it.
#[tokio::test]
async fn one_who_takes_long_holds_up_nobody() {
    let database = migrated().await;
    let tenant = connect(config(&database)).await;
    let db = repositories(&tenant);
    let novo = novo_projeto("P");
    let projeto = ProjetoRecord { id: ProjetoId::new(NOW), nome: novo.nome, descricao: None, criado_em: NOW };
    let projeto = db.projetos.insert(projeto, None).await.unwrap().id;
    let slow = sea_orm::Database::connect(database.url()).await.unwrap().begin().await.unwrap();
    let insert = format!(
        "INSERT INTO api_aponta.atividades (id, nome, id_projeto, criado_em, atualizado_em)
         VALUES (gen_random_uuid(), 'A', '{}', now(), now())",
        projeto.0
    );
    slow.execute_unprepared(&insert).await.unwrap();

    for _ in 0..50 {
        let inserted =
            tokio::time::timeout(std::time::Duration::from_secs(5), db.atividades.insert(record(projeto, true)));
        inserted.await.expect("it waits for another transaction").unwrap();
    }
    slow.commit().await.unwrap();
    assert_exact(&database);
}
