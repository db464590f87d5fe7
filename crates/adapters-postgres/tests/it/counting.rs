//! The totals that are kept are those that counting would find, at every moment and whoever writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::testing::suite::Repositories;
use domain::testing::{NOW, maria, nome_atividade, novo_projeto};
use domain::{
    Atividade, AtividadePatch, AtividadeQuery, AtividadeRecord, Campo, Descricao, Error, Filtro, Limit, NovaAtividade,
    Ordem, Patch, ProjetoId, ProjetoRecord, ProjetoRef, Skip,
};
use e2e::postgres::Database;

use crate::support::{config, connect, migrated, repositories, transaction};

/// Numbers that are kept and wrong, or not kept. All are read in one snapshot.
const WRONG: &str = "
    WITH kept AS (
        SELECT 0 AS faixa, id_projeto, ativo, sum(total)::bigint AS total FROM api_aponta.atividades_contagem
        GROUP BY id_projeto, ativo HAVING sum(total) <> 0
        UNION ALL
        SELECT faixa, id_projeto, ativo, sum(total)::bigint FROM api_aponta.atividades_faixas_contagem
        GROUP BY faixa, id_projeto, ativo HAVING sum(total) <> 0
    ), counted AS (
        SELECT 0 AS faixa, id_projeto, ativo, count(*) AS total FROM api_aponta.atividades
        GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo))
        UNION ALL
        SELECT faixa, id_projeto, ativo, count(*)
        FROM api_aponta.atividades a, LATERAL (
            SELECT f.faixa FROM api_aponta.atividades_faixas f WHERE (a.criado_em, a.id) <= (f.criado_em, f.id)
            ORDER BY f.criado_em, f.id LIMIT 1
        ) f
        GROUP BY GROUPING SETS ((faixa, id_projeto, ativo), (faixa, ativo))
    )
    SELECT count(*) FROM ((TABLE kept EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE kept)) wrong";

/// Cuts a range of ten.
const CUT: &str = "SELECT api_aponta.fechar_faixa(10)";

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
            let mut ranges = 0;
            while !done.load(Ordering::Relaxed) {
                assert_exact(&database);
                looks += 1;
                ranges += u32::from(database.query(CUT) == "t");
            }
            (looks, ranges)
        }
    });

    let mut left = 0;
    for writer in writers {
        left += writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);

    let (looks, ranges) = looks.await.unwrap();
    assert!(2 <= looks, "nobody looked while the others wrote");
    assert!(2 <= ranges, "nobody cut ranges while the others wrote");
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
        CUT.to_owned(),
        CUT.to_owned(),
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
    let insert = format!(
        "INSERT INTO api_aponta.atividades (id, nome, id_projeto, criado_em, atualizado_em)
         VALUES (gen_random_uuid(), 'A', '{}', now(), now())",
        projeto.0
    );
    let slow = transaction(&database, &insert).await;

    for _ in 0..50 {
        let inserted =
            tokio::time::timeout(std::time::Duration::from_secs(5), db.atividades.insert(record(projeto, true)));
        inserted.await.expect("it waits for another transaction").unwrap();
    }
    slow.batch_execute("COMMIT").await.unwrap();
    assert_exact(&database);
}

/// Pages deep in the list are those that passing over the rows would find, in whatever range they are.
#[tokio::test]
async fn deep_pages_are_the_right_ones() {
    let database = migrated().await;
    let tenant = connect(config(&database)).await;
    let db = repositories(&tenant);
    database.execute(
        "INSERT INTO api_aponta.projetos (id, nome, criado_em, atualizado_em)
         VALUES (gen_random_uuid(), 'P', now(), now()), (gen_random_uuid(), 'Q', now(), now());
         INSERT INTO api_aponta.atividades (id, nome, ativo, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'A' || n, n % 3 = 0, p.id, now() - n / 4 * interval '1 s', now()
         FROM generate_series(1, 20000) n JOIN api_aponta.projetos p ON p.nome = CASE WHEN n % 4 = 0 THEN 'P' ELSE 'Q' END",
    );
    assert_eq!(tenant.cut_ranges().await.unwrap(), 3);
    assert_eq!(tenant.cut_ranges().await.unwrap(), 0);
    // Some of the ranges lose rows, one all of them, and one gets many more.
    database.execute(
        "DELETE FROM api_aponta.atividades WHERE nome LIKE '%7' OR nome ~ '^A1[01]...$';
         INSERT INTO api_aponta.atividades (id, nome, ativo, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'B' || n, n % 5 = 0, p.id, now() - interval '4000 s', now()
         FROM generate_series(1, 12000) n, api_aponta.projetos p WHERE p.nome = 'Q';
         SELECT api_aponta.fechar_faixa(1000), api_aponta.fechar_faixa(1000)",
    );
    assert_exact(&database);

    let projeto = ProjetoRef(database.query("SELECT id FROM api_aponta.projetos WHERE nome = 'Q'").parse().unwrap());
    for (ativo, projeto) in [(None, None), (Some(true), None), (None, Some(projeto)), (Some(false), Some(projeto))] {
        let filtro = Filtro { ativo, projeto, ..Filtro::default() };
        let condition = format!(
            "({ativo}::boolean IS NULL OR ativo = {ativo}) AND ({projeto}::uuid IS NULL OR id_projeto = {projeto})",
            ativo = ativo.map_or_else(|| "NULL".to_owned(), |ativo| ativo.to_string()),
            projeto = projeto.map_or_else(|| "NULL".to_owned(), |projeto| format!("'{}'", projeto.0)),
        );
        for (decrescente, direction) in [(true, "DESC"), (false, "ASC")] {
            for skip in (4_500..29_000).step_by(1_750).chain([99_999, i64::MAX]) {
                let expected = database.query(&format!(
                    "SELECT string_agg(id::text, ',') FROM (
                         SELECT id FROM api_aponta.atividades WHERE {condition}
                         ORDER BY criado_em {direction}, id {direction} OFFSET {skip} LIMIT 3
                     ) page"
                ));
                let query = AtividadeQuery {
                    filtro: filtro.clone(),
                    ordem: Ordem { campo: Campo::CriadoEm, decrescente },
                    skip: Skip::parse(skip).unwrap(),
                    limit: Limit::parse(3).unwrap(),
                    ..AtividadeQuery::default()
                };
                let ids = |items: &[Atividade]| items.iter().map(|item| item.id.0.to_string()).collect::<Vec<_>>();
                let page = db.atividades.list(query.clone()).await.unwrap();
                assert_eq!(ids(&page.items).join(","), expected, "{filtro:?} {direction} {skip}");
                assert_eq!(db.atividades.rows(query).await.unwrap(), page.items);
            }
        }
    }
}

/// A transaction with an old snapshot would not see the newest range.
#[tokio::test]
async fn nobody_writes_with_an_old_snapshot() {
    let database = migrated().await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let other = transaction(&database, &format!("SET TRANSACTION ISOLATION LEVEL {level}")).await;
        let refused = other.batch_execute(INSERT).await.unwrap_err();
        assert!(refused.as_db_error().unwrap().message().contains("READ COMMITTED"));
    }
}
