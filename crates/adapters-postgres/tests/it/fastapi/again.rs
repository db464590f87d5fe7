//! A second import of what changed while the old service went on.

use adapters_postgres::{Decision, ImportReport, ImportRequest};
use e2e::fastapi::Form;

use super::{ACTIVITIES, ENTRIES, OLD, applied, given, import, request};

fn changes(report: &ImportReport) -> Vec<(&str, i64, i64, i64)> {
    report.changes.iter().map(|c| (c.tabela.as_str(), c.new, c.changed, c.deleted)).collect()
}

#[tokio::test]
async fn again_takes_new_changed_and_deleted_rows() {
    let database = given(Form::Second, OLD);
    let _ = applied(import(&database, request(OLD)).await.unwrap().0);
    let again = || ImportRequest { again: true, ..request(OLD) };
    let untouched = "SELECT xmin FROM api_aponta.apontamentos WHERE id = '30000000-0000-4000-8000-000000000001'";
    let version = database.query(untouched);
    database.execute(
        "SET search_path = aponta_sefaz;
         UPDATE apontamentos SET duracao = '07:00', atualizado_em = '2026-11-27 10:00' WHERE id::text LIKE '%2';
         DELETE FROM apontamentos WHERE id::text LIKE '%5';
         INSERT INTO apontamentos SELECT gen_random_uuid(), 7, 'Projeto_Novo', organization_name, '2026-11-27', id_atividade, 'novo',
             'zoe', 'Zoe', NULL, criado_em, atualizado_em, '01:00' FROM apontamentos WHERE id::text LIKE '%1';
         UPDATE atividades SET nome = 'Outra' WHERE id::text LIKE '%2';
         DELETE FROM atividade_projeto WHERE id_atividade::text LIKE '%1' AND id_projeto::text LIKE '%1';
         DELETE FROM atividades WHERE id::text LIKE '%4';
         INSERT INTO projetos (id, external_id, nome) VALUES (gen_random_uuid(), gen_random_uuid(), 'Projeto 9')",
    );

    let report = applied(import(&database, again()).await.unwrap().0);

    assert_eq!(changes(&report), [("apontamentos", 1, 1, 1), ("atividades", 0, 2, 1)]);
    assert!(report.sums.iter().all(|sum| sum.different == 0 && sum.before == sum.after), "{:?}", report.sums);
    assert_eq!(database.query(untouched), version, "an equal row is not written");
    assert_eq!(database.query("SELECT count(*), sum(minutos) FROM api_aponta.apontamentos"), "6|2354");
    assert_eq!(
        database.query(ACTIVITIES).lines().map(|line| line.split('|').nth(1).unwrap()).collect::<Vec<_>>(),
        ["Atividade 1", "Outra", "Atividade 3"]
    );
    let order = "SELECT right(id_projeto::text, 1) FROM api_aponta.atividade_projetos ORDER BY lugar";
    assert_eq!(database.query(order), "3");
    assert_eq!(changes(&applied(import(&database, again()).await.unwrap().0)), []);
}

#[tokio::test]
async fn again_leaves_rows_that_changed_here_as_well() {
    let database = given(Form::Second, OLD);
    let _ = applied(import(&database, request(OLD)).await.unwrap().0);
    database.execute(
        "UPDATE api_aponta.apontamentos SET minutos = 1 WHERE id::text LIKE '%1' OR id::text LIKE '%2';
         DELETE FROM api_aponta.apontamentos WHERE id::text LIKE '%3';
         UPDATE aponta_sefaz.apontamentos SET duracao = '00:02';
         DELETE FROM aponta_sefaz.apontamentos WHERE id::text LIKE '%2'",
    );

    let (outcome, decisions) = import(&database, ImportRequest { again: true, ..request(OLD) }).await.unwrap();

    let report = applied(outcome);
    assert_eq!(changes(&report), [("apontamentos", 0, 3, 0)]);
    let mut stay: Vec<_> = decisions.iter().filter(|d| d.decision.contains("its row stays")).map(|d| &d.id).collect();
    stay.sort();
    let ids = [1, 2, 3].map(|n| Some(format!("30000000-0000-4000-8000-{n:012}")));
    assert_eq!(stay, ids.iter().collect::<Vec<_>>());
    let minutes: Vec<_> =
        database.query(ENTRIES).lines().map(|line| line.split('|').nth(6).unwrap().to_owned()).collect();
    assert_eq!(minutes, ["1", "1", "2", "2", "2"]);
}

#[tokio::test]
async fn again_goes_on_after_rows_that_changed_here_only() {
    let database = given(Form::Second, OLD);
    let _ = applied(import(&database, request(OLD)).await.unwrap().0);
    database.execute(
        "UPDATE api_aponta.apontamentos SET minutos = 1 WHERE id::text LIKE '%1';
         DELETE FROM api_aponta.apontamentos WHERE id::text LIKE '%3';
         UPDATE aponta_sefaz.apontamentos SET duracao = '07:00' WHERE id::text LIKE '%2'",
    );

    let report = applied(import(&database, ImportRequest { again: true, ..request(OLD) }).await.unwrap().0);

    assert_eq!(changes(&report), [("apontamentos", 0, 1, 0)]);
    let compared: Vec<_> = report.sums.iter().map(|sum| (sum.before, sum.after, sum.different)).collect();
    let others = 420 + 240 + 210 + 120;
    assert_eq!(compared, [(others, others, 0); 4]);
    let minutes = "SELECT minutos FROM api_aponta.apontamentos ORDER BY id";
    assert_eq!(database.query(minutes), "1\n420\n240\n210\n120");
}

#[tokio::test]
async fn again_finds_entries_whose_project_or_activity_has_become_another_one() {
    let database = given(Form::SecondByOrm, OLD);
    let _ = applied(import(&database, request(OLD)).await.unwrap().0);
    let again = || ImportRequest { again: true, ..request(OLD) };
    // The fourth entry names a project that nobody knew.
    database.execute(
        "INSERT INTO aponta_sefaz.projetos (id, external_id, nome)
         VALUES (gen_random_uuid(), 'b0000000-0000-4000-8000-000000000004', 'projeto_ágil')",
    );

    let report = applied(import(&database, again()).await.unwrap().0);

    assert_eq!(changes(&report), [("apontamentos", 0, 1, 0)]);
    let projeto = "SELECT id_projeto FROM api_aponta.apontamentos WHERE id::text LIKE '3%4'";
    assert_eq!(database.query(projeto), "b0000000-0000-4000-8000-000000000004");
    database.execute(
        "SET search_path = aponta_sefaz; ALTER TABLE apontamentos DROP CONSTRAINT apontamentos_id_atividade_fkey;
         ALTER TABLE atividade_projeto DROP CONSTRAINT atividade_projeto_id_atividade_fkey;
         DELETE FROM atividades WHERE id::text LIKE '%4'",
    );
    let report = applied(import(&database, again()).await.unwrap().0);
    assert_eq!(changes(&report), [("atividades", 0, 1, 0)]);
    let nome = "SELECT nome, ativo FROM api_aponta.atividades WHERE id::text LIKE '%4'";
    assert_eq!(database.query(nome), "Atividade desconhecida 20000000-0000-4000-8000-000000000004|f");
    assert_eq!(changes(&applied(import(&database, again()).await.unwrap().0)), []);
}

#[tokio::test]
async fn again_reads_only_entries_near_those_that_changed() {
    let database = given(Form::Second, OLD);
    database.execute(
        "INSERT INTO aponta_sefaz.apontamentos (id, work_item_id, project_id, organization_name, data_apontamento, id_atividade,
             usuario_id, usuario_nome, duracao)
         SELECT md5(n::text)::uuid, 7, '10000000-0000-4000-8000-000000000002', 'exemplo', '2026-01-01'::date + n,
                '20000000-0000-4000-8000-000000000001', 'zoe', 'Zoe', '01:00'
         FROM generate_series(1, 1000) n",
    );
    let rewritten = |decisions: &[Decision]| {
        decisions.iter().filter(|d| d.tabela == "apontamentos" && d.decision.contains("rewritten")).count()
    };
    let (outcome, decisions) = import(&database, request(OLD)).await.unwrap();
    let _ = applied(outcome);
    assert_eq!(rewritten(&decisions), 1001);
    // Another text, for which the new service has the same.
    database.execute("UPDATE aponta_sefaz.apontamentos SET comentario = '' WHERE id = md5('1')::uuid");

    for expected in [1..10, 0..1] {
        let (outcome, decisions) = import(&database, ImportRequest { again: true, ..request(OLD) }).await.unwrap();

        let report = applied(outcome);
        assert_eq!(changes(&report), []);
        assert!(report.rows.contains(&("apontamentos".to_owned(), 1006)), "{:?}", report.rows);
        assert!(report.sums.iter().all(|sum| sum.different == 0 && sum.before == 62_564), "{:?}", report.sums);
        assert!(expected.contains(&rewritten(&decisions)), "{} decisions", rewritten(&decisions));
    }
}
