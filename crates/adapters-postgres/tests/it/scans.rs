//! What is read of many time entries: by one index, no more rows than those that are asked for.

use std::time::{Duration, Instant};

use domain::testing::{NOW, apontamento_record, maria, nova_atividade, novo_projeto};
use domain::{
    ApontamentoFiltro, ApontamentoId, ApontamentoQuery, ApontamentoRecord, AtividadeRecord, ProjetoId, ProjetoRecord,
    ProjetoRef, UsuarioRef, WorkItemId,
};
use e2e::postgres::Database;
use time::macros::date;

use crate::support::{config, connect, migrated, repositories};

/// A week of Maria has 7 entries, as one of each of 40 people; a work item has 40. Other weeks and work items have the rest.
const ENTRIES: &str = "
    INSERT INTO api_aponta.apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, usuario_id,
                                         usuario_nome, criado_em, atualizado_em)
    SELECT gen_random_uuid(), p.id, a.id, 1 + n / 40, 'exemplo', date '2024-01-01' + n / 40, 10,
           CASE n % 40 WHEN 0 THEN '{maria}' ELSE 'pessoa-' || n % 40 END, 'Pessoa', now(), now()
    FROM generate_series(0, 19999) n, api_aponta.projetos p, api_aponta.atividades a;
    ANALYZE api_aponta.apontamentos";

/// The scans of the table and of each of its indexes since the start, with the rows that they returned.
fn scans(database: &Database<'_>) -> Vec<(String, i64, i64)> {
    let rows = database.query(
        "SELECT string_agg(concat_ws(' ', name, scans, rows), ',' ORDER BY name) FROM (
             SELECT 'table' AS name, seq_scan AS scans, seq_tup_read AS rows FROM pg_stat_user_tables
             WHERE relname = 'apontamentos'
             UNION ALL
             SELECT indexrelname, idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'apontamentos'
         ) counted",
    );
    let number = |text: &str| text.parse::<i64>().unwrap();
    let scan = |row: &str| {
        let mut words = row.split(' ');
        let mut next = || words.next().unwrap().to_owned();
        (next(), number(&next()), number(&next()))
    };
    rows.split(',').map(scan).collect()
}

/// Waits until all connections of the adapter are closed: a connection publishes its statistics before.
async fn wait_for_statistics(database: &Database<'_>) {
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let started = Instant::now();
    while database.query(others) != "0" {
        assert!(started.elapsed() < Duration::from_mins(1), "connections stay open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stores an atividade and returns an entry of it that is not stored.
async fn given_entry(database: &Database<'_>) -> ApontamentoRecord {
    let given = connect(config(database)).await;
    let db = repositories(&given);
    let novo = novo_projeto("Portal");
    let projeto = ProjetoRecord { id: ProjetoId::new(NOW), nome: novo.nome, descricao: None, criado_em: NOW };
    let projeto = db.projetos.insert(projeto, None).await.unwrap();
    let record = AtividadeRecord::new(nova_atividade("Revisar"), &maria().usuario, NOW);
    let atividade = AtividadeRecord { projetos: ProjetoRef(projeto.id.0).into(), ..record };
    let atividade = db.atividades.insert(atividade).await.unwrap();
    given.close().await;
    ApontamentoRecord {
        projeto: ProjetoRef(projeto.id.0),
        atividade: atividade.id,
        data: date!(2024 - 12 - 02),
        ..apontamento_record(10)
    }
}

/// A plan that is kept from the time when a table was small would read all of it for ever.
#[tokio::test]
async fn insert_reads_no_whole_table() {
    let database = migrated().await;
    let entry = given_entry(&database).await;
    database.execute(
        "INSERT INTO api_aponta.atividades (id, nome, ativo, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Atividade', true, p.id, now(), now() FROM generate_series(1, 1000), api_aponta.projetos p;
         INSERT INTO api_aponta.work_items (organizacao, id, titulo, tipo, visto_em)
         SELECT 'exemplo', 1000000 + n, 'Tarefa', 'Task', now() FROM generate_series(1, 1000) n;
         ANALYZE api_aponta.atividades, api_aponta.work_items",
    );
    let rows = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('atividades', 'work_items')";
    wait_for_statistics(&database).await;
    let before = database.query(rows);

    let adapter = connect(config(&database)).await;
    let entries = repositories(&adapter).apontamentos;
    // PostgreSQL keeps a plan after five executions.
    for _ in 0..10 {
        let entry = ApontamentoRecord { id: ApontamentoId::new(NOW), ..entry.clone() };
        entries.insert_all(vec![entry], None).await.unwrap();
    }
    adapter.close().await;
    wait_for_statistics(&database).await;

    assert_eq!(database.query(rows), before);
}

#[tokio::test]
async fn week_work_item_and_day_are_single_index_scans() {
    let database = migrated().await;
    let entry = given_entry(&database).await;
    let maria = maria().usuario.id;
    database.execute(&ENTRIES.replace("{maria}", &maria));

    let week = ApontamentoFiltro {
        usuario: Some(UsuarioRef::Id(maria.clone())),
        de: Some(date!(2024 - 12 - 02)),
        ate: Some(date!(2024 - 12 - 08)),
        ..ApontamentoFiltro::default()
    };
    let work_item = ApontamentoFiltro { work_item: WorkItemId::new(100).ok(), ..ApontamentoFiltro::default() };
    assert_eq!(entry.usuario.id, maria);
    let cases = [("week", 7), ("work item", 40), ("sum of a work item", 40), ("sum of a day", 1)];
    for (case, expected) in cases {
        wait_for_statistics(&database).await;
        let before = scans(&database);
        let adapter = connect(config(&database)).await;
        let entries = repositories(&adapter).apontamentos;
        let list = |filtro: &ApontamentoFiltro| ApontamentoQuery { filtro: filtro.clone(), ..Default::default() };
        let found = match case {
            "week" => entries.list(list(&week)).await.unwrap().items.len(),
            "work item" => entries.list(list(&work_item)).await.unwrap().items.len(),
            "sum of a work item" => {
                usize::try_from(entries.totals(work_item.clone()).await.unwrap().apontamentos).unwrap()
            }
            _ => entries.insert_all(vec![entry.clone()], None).await.unwrap().len(),
        };
        adapter.close().await;
        wait_for_statistics(&database).await;

        assert_eq!(found, expected, "{case}");
        let after = scans(&database);
        let read = before
            .iter()
            .zip(&after)
            .map(|((name, scans, rows), (_, scans_now, rows_now))| (name.as_str(), scans_now - scans, rows_now - rows));
        let read: Vec<_> = read.filter(|(_, scans, _)| *scans != 0).collect();
        let index = if case.contains("work item") { "work_item_id" } else { "usuario_id" };
        let rows = i64::try_from(expected).unwrap();
        assert_eq!(read, [(format!("apontamentos_{index}_data_idx").as_str(), 1, rows)], "{case}");
    }
}
