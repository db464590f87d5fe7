//! The import of the FastAPI service's database, on tables built in each of its forms.

mod again;
mod hostile;
mod places;

use adapters_postgres::{
    Config, Decision, FastApiImport, ImportError, ImportOutcome, ImportReport, ImportRequest, SchemaName,
};
use e2e::fastapi::Form;
use e2e::postgres::{Cluster, Database};

use crate::support::{config, schema};

/// The schema of the old tables, beside ours.
const OLD: &str = "aponta_sefaz";

/// A database with the old tables and rows of `form` in `old`.
fn given(form: Form, old: &str) -> Database<'static> {
    let database = Cluster::shared().create_database();
    database.execute(&format!("{}{}", form.tables(old), form.rows()));
    database
}

fn request(old: &str) -> ImportRequest {
    ImportRequest { from: None, schema: Some(schema(old)), time_zone: None, again: false, apply: true }
}

async fn import(
    database: &Database<'_>,
    request: ImportRequest,
) -> Result<(ImportOutcome, Vec<Decision>), ImportError> {
    let mut decisions = Vec::new();
    let import = FastApiImport::new(config(database));
    let outcome = import.run(request, |decision| {
        decisions.push(decision);
        Ok(())
    });
    outcome.await.map(|outcome| (outcome, decisions))
}

#[track_caller]
fn applied(outcome: ImportOutcome) -> ImportReport {
    assert!(matches!(outcome, ImportOutcome::Applied(_)), "{outcome:?}");
    report(outcome).unwrap()
}

fn report(outcome: ImportOutcome) -> Option<ImportReport> {
    match outcome {
        ImportOutcome::DoneBefore(_) => None,
        ImportOutcome::Applied(report) | ImportOutcome::Possible(report) | ImportOutcome::Impossible(report) => {
            Some(report)
        }
    }
}

/// Every row of the old tables, as text.
fn old_rows(database: &Database<'_>, old: &str) -> String {
    let tables = database.query(&format!(
        "SELECT relname FROM pg_class WHERE relnamespace = '{old}'::regnamespace AND relkind = 'r'
         AND relname NOT IN ('importados', 'importacoes', 'projetos_de_apontamentos') ORDER BY 1"
    ));
    let rows = tables
        .lines()
        .map(|table| database.query(&format!("SELECT '{table}', t FROM {old}.{table} t ORDER BY t::text")));
    rows.collect::<Vec<_>>().join("\n")
}

const ENTRIES: &str = "
    SELECT right(id::text, 1), right(id_projeto::text, 2), left(id_projeto::text, 1), right(id_atividade::text, 1), work_item_id,
           data, minutos, comentario, usuario_id, criado_em
    FROM api_aponta.apontamentos ORDER BY id";
const ACTIVITIES: &str = "
    SELECT right(id::text, 1), nome, descricao, ativo, id_projeto,
           (SELECT string_agg(right(id_projeto::text, 1), ',' ORDER BY lugar) FROM api_aponta.atividade_projetos ap
            WHERE ap.id_atividade = a.id), criado_por, criado_em, atualizado_em
    FROM api_aponta.atividades a ORDER BY id";

#[tokio::test]
async fn each_form_is_imported_with_ids_references_and_times() {
    let entries = "\
        1|01|a|1|101|2026-11-23|15||ana|2026-11-26 15:00:00.123456+00\n\
        2|01|a|1|100|2026-11-24|480|Correção|ana|2026-11-26 15:00:00.123456+00\n\
        3|02|a|2|101|2026-11-24|1499||rui|2026-11-26 15:00:00.123456+00\n\
        4|..|.|3|100|2026-10-31|240|nome que não existe|rui|2026-11-26 15:00:00.123456+00\n\
        5|03|a|4|101|2026-12-01|210|=1+1|User-08347002|2026-11-26 15:00:00.123456+00\n\
        6|02|a|1|100|2024-02-29|120|ano bissexto|ana|2026-11-26 15:00:00.123456+00";
    let times = "2026-11-26 15:00:00.123456+00|2026-11-26 15:00:00.12346+00";
    let guid = |n: u32| format!("a0000000-0000-4000-8000-{n:012}");
    let first = [
        format!("1|Atividade 1||t|{}|||{times}", guid(1)),
        format!("2|Atividade 2||t|{}|||{times}", guid(1)),
        format!("3|Atividade 3||f|{}|||{times}", guid(2)),
        format!("4|Atividade 4||t|ffffffff-0000-4000-8000-000000000009|||{times}"),
    ];
    let second = [
        format!("1|Atividade 1||t|{}|1,3|ana@exemplo.br|{times}", guid(2)),
        format!("2|Atividade 2||t|{}||ana@exemplo.br|{times}", guid(1)),
        format!("3|Atividade 3||f|{}||ana@exemplo.br|{times}", guid(2)),
        format!("4|Atividade 4||t|{}||ana@exemplo.br|{times}", guid(3)),
    ];
    for (form, found) in Form::ALL.into_iter().zip(["first", "second", "second", "second generation after a repair"]) {
        let database = given(form, OLD);
        let before = old_rows(&database, OLD);

        let report = applied(import(&database, request(OLD)).await.unwrap().0);

        assert!(report.form.starts_with(found), "{form:?}: {}", report.form);
        assert_eq!(old_rows(&database, OLD), before, "{form:?}: the old tables stay");
        let activities = if form == Form::First { &first } else { &second };
        assert_eq!(database.query(ACTIVITIES), activities.join("\n"), "{form:?}");
        if form == Form::First {
            assert_eq!(
                database.query("SELECT nome FROM api_aponta.projetos WHERE id::text LIKE 'f%'"),
                "Projeto desconhecido ffffffff-0000-4000-8000-000000000009"
            );
            assert!(report.sums.is_empty(), "{:?}", report.sums);
            continue;
        }
        let unknown =
            database.query("SELECT id FROM api_aponta.projetos WHERE nome = 'Projeto desconhecido Projeto_Ágil'");
        let expected = entries.replace("|..|.|", &format!("|{}|{}|", &unknown[34..], &unknown[..1]));
        assert_eq!(database.query(ENTRIES), expected, "{form:?}");
        let sums: Vec<_> =
            report.sums.iter().map(|sum| (sum.what.as_str(), sum.groups, sum.before, sum.after)).collect();
        let total = 15 + 480 + 1499 + 240 + 210 + 120;
        let expected = [("activities", 4), ("months", 4), ("persons", 3), ("work items", 2)];
        assert_eq!(sums, expected.map(|(what, groups)| (what, groups, total, total)), "{form:?}");
    }
}

#[tokio::test]
async fn dry_run_reports_the_same_and_changes_nothing() {
    let database = given(Form::Second, OLD);
    let schemas = "SELECT nspname FROM pg_namespace ORDER BY 1";
    let before = (database.query(schemas), old_rows(&database, OLD));

    let (outcome, decisions) = import(&database, ImportRequest { apply: false, ..request(OLD) }).await.unwrap();

    assert!(matches!(outcome, ImportOutcome::Possible(_)), "{outcome:?}");
    let report = report(outcome).unwrap();
    assert_eq!((database.query(schemas), old_rows(&database, OLD)), before);
    let (outcome, again) = import(&database, request(OLD)).await.unwrap();
    assert_eq!((applied(outcome), again), (report, decisions));
}

#[tokio::test]
async fn decisions_name_rows_and_never_the_encrypted_token() {
    let database = given(Form::Second, OLD);
    let zone = Some("america/fortaleza".to_owned());

    let (_, decisions) = import(&database, ImportRequest { time_zone: zone, ..request(OLD) }).await.unwrap();

    let pat = decisions.iter().find(|decision| decision.tabela == "organization_pats").unwrap();
    assert_eq!((pat.id.as_deref(), pat.after.as_deref()), (Some("exemplo"), Some("expires 2027-02-01 02:59:59+00")));
    assert!(pat.decision.contains("revoke it"), "{pat:?}");
    assert!(!format!("{decisions:?}").contains("segredo"), "{decisions:?}");
    let dump = "SELECT count(*) FROM api_aponta.projetos p WHERE p::text LIKE '%segredo%'";
    assert_eq!(database.query(dump), "0");
    let rewritten = decisions.iter().filter(|d| d.tabela == "apontamentos" && d.decision.contains("rewritten"));
    assert_eq!(rewritten.count(), 1);
}

#[tokio::test]
async fn request_that_does_not_fit_is_refused_in_one_line() {
    let database = given(Form::First, OLD);
    database.execute(&Form::Second.tables("other"));
    database.execute(
        "CREATE SCHEMA half; CREATE TABLE half.projetos (external_id uuid); CREATE TABLE half.atividades (id uuid)",
    );
    let url = Config::from_url(&database.url().into(), schema("public")).unwrap();
    let elsewhere = |schema: Option<SchemaName>| ImportRequest { from: Some(url.clone()), schema, ..request(OLD) };
    let zone = |zone: &str| ImportRequest { time_zone: Some(zone.to_owned()), ..request(OLD) };
    for (request, reason) in [
        (request("missing"), "does not have the tables of the FastAPI service"),
        (request("public"), "does not have the tables of the FastAPI service"),
        (request("api_aponta"), "does not have the tables of the FastAPI service"),
        (request("half"), "lacks the columns"),
        (elsewhere(None), "several schemas have its tables"),
        (zone("Mars/Olympus"), "is no time zone"),
        (zone("'; DROP SCHEMA aponta_sefaz CASCADE; --"), "is no time zone"),
        (zone(""), "is no time zone"),
        (ImportRequest { again: true, ..request(OLD) }, "nothing was imported yet"),
    ] {
        let error = import(&database, request).await.unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains('\n'), "{reason}: {error}");
    }
    assert!(matches!(FastApiImport::new(config(&database)).undo(true).await, Err(ImportError::Refused(_))));
    let schemas = database.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'api%'");
    assert_eq!(schemas, "");
}
