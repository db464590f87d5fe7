//! Hostile rows: each is one change of a plain row, with the decisions that the report must have about it, and a condition on
//! the new row.

use std::collections::BTreeMap;

use adapters_postgres::ImportOutcome;
use e2e::fastapi::Form;
use e2e::postgres::{Cluster, Database};

use super::{OLD, applied, import, old_rows, request};

type Row = (&'static str, &'static [&'static str], &'static str);

const TRIMMED: &str = "white space around the name removed";
const BLANK: &str = "blank name replaced";
const CUT: &str = "name cut to 255 characters";
const CREATED: &str = "time of creation is missing or unusable";
const CHANGED: &str = "time of the last change is missing, unusable or before the creation";
const REWRITTEN: &str = "reference to a project rewritten to Azure's GUID";
const UNKNOWN: &str = "project unknown: kept under one that says so";
const BY_NAME: &str = "project found by its name";

const PROJETOS: [Row; 18] = [
    ("nome = 'Portal'", &[], "nome = 'Portal' AND azure_project_id = id::text"),
    ("nome = E'  Brancos \\t'", &[TRIMMED], "nome = 'Brancos'"),
    ("nome = ''", &[BLANK], "nome = 'Projeto sem nome ' || id"),
    ("nome = U&'\\00a0\\3000\\2028'", &[BLANK], "nome = 'Projeto sem nome ' || id"),
    ("nome = repeat('ç', 300)", &[CUT], "nome = repeat('ç', 255)"),
    ("nome = repeat('a', 254) || ' ' || 'b'", &[CUT], "nome = repeat('a', 254)"),
    ("nome = 'Duplicado', last_sync_at = '2026-01-01'", &[], "nome = 'Duplicado'"),
    ("nome = 'DUPLICADO', last_sync_at = '2026-02-01'", &[], "nome = 'DUPLICADO'"),
    ("nome = E'a\\x1b[31mb'", &[], "nome = E'a\\x1b[31mb'"),
    ("nome = '''; DROP TABLE projetos; --'", &[], "nome = '''; DROP TABLE projetos; --'"),
    ("descricao = repeat('x', 70000)", &["description cut to 64 KiB"], "descricao = repeat('x', 65536)"),
    ("descricao = repeat('🦀', 40000)", &["description cut to 64 KiB"], "descricao = repeat('🦀', 16384)"),
    ("descricao = '  '", &[], "descricao = '  '"),
    ("created_at = 'infinity'", &[CREATED], "criado_em = updated_of"),
    (
        "created_at = NULL, updated_at = NULL, last_sync_at = NULL",
        &[CREATED],
        "criado_em = 'epoch' AND sincronizado_em = 'epoch'",
    ),
    ("updated_at = '2020-01-01'", &[], "atualizado_em = criado_em"),
    ("url = NULL, estado = NULL", &[], "url IS NULL AND estado IS NULL"),
    ("estado = repeat('x', 10000)", &[], "estado = repeat('x', 10000)"),
];

const ATIVIDADES: [Row; 20] = [
    ("nome = 'Revisar'", &[], "nome = 'Revisar'"),
    ("nome = E'\\n espaços \\t'", &[TRIMMED], "nome = 'espaços'"),
    ("nome = ''", &[BLANK], "nome = 'Atividade sem nome ' || id"),
    ("nome = U&'\\2003\\3000'", &[BLANK], "nome = 'Atividade sem nome ' || id"),
    ("nome = repeat('Ç', 255)", &[], "nome = repeat('Ç', 255)"),
    ("nome = '=HYPERLINK(\"http://x\")'", &[], "nome = '=HYPERLINK(\"http://x\")'"),
    ("nome = U&'\\202eabc \\200d'", &[], "nome = U&'\\202eabc \\200d'"),
    ("nome = 'Igual'", &["same name as another activity: both are kept"], "nome = 'Igual'"),
    ("nome = 'Igual'", &["same name as another activity: both are kept"], "nome = 'Igual'"),
    ("descricao = ''", &[], "descricao = ''"),
    ("descricao = repeat('ç', 40000)", &["description cut to 64 KiB"], "descricao = repeat('ç', 16384)"),
    ("descricao = E'linha1\\nlinha2\\t'", &[], "descricao = E'linha1\\nlinha2\\t'"),
    ("descricao = NULL", &[], "descricao IS NULL"),
    ("criado_por = ''", &[], "criado_por IS NULL"),
    ("criado_por = 'Azure User 6b1f3f0a'", &[], "criado_por = 'Azure User 6b1f3f0a'"),
    ("atualizado_em = '2020-01-01'", &[CHANGED], "atualizado_em = criado_em"),
    ("criado_em = 'infinity', atualizado_em = '-infinity'", &[CREATED, CHANGED], "criado_em = 'epoch'"),
    ("criado_em = '20000-01-01', atualizado_em = '2026-01-01'", &[CREATED], "criado_em = '2026-01-01Z'"),
    ("criado_em = '0044-03-15 BC'", &[CREATED], "criado_em = '2026-01-02Z'"),
    ("ativo = false", &[], "NOT ativo"),
];

const APONTAMENTOS: [Row; 42] = [
    ("duracao = '00:01'", &[], "minutos = 1"),
    ("duracao = '24:00'", &[], "minutos = 1440"),
    ("duracao = '24:59'", &["longer than 24:00: kept"], "minutos = 1499"),
    ("duracao = '8:30'", &[], "minutos = 510"),
    ("duracao = ' 8:30'", &[], "minutos = 510"),
    ("duracao = NULL, horas = 7, minutos = 45", &["duration taken from horas and minutos"], "minutos = 465"),
    ("duracao = '', horas = 7, minutos = NULL", &["duration taken from horas and minutos"], "minutos = 420"),
    ("duracao = '02:00', horas = 2, minutos = 0", &[], "minutos = 120"),
    (
        "duracao = '02:00', horas = 9, minutos = 1",
        &["horas and minutos contradict duracao, which counts"],
        "minutos = 120",
    ),
    ("project_id = 'B0000000-0000-4000-8000-000000000001'", &[], "id_projeto = portal"),
    ("project_id = '{b0000000-0000-4000-8000-000000000001}'", &[REWRITTEN], "id_projeto = portal"),
    ("project_id = 'b0000000000040008000000000000001'", &[REWRITTEN], "id_projeto = portal"),
    ("project_id = '1b000000-0000-4000-8000-000000000001'", &[REWRITTEN], "id_projeto = portal"),
    ("project_id = ' 1B000000-0000-4000-8000-000000000001 '", &[REWRITTEN], "id_projeto = portal"),
    ("project_id = 'Portal'", &[BY_NAME], "id_projeto = portal"),
    ("project_id = E' PORTAL\\n'", &[BY_NAME], "id_projeto = portal"),
    (
        "project_id = 'duplicado'",
        &["project found by its name, the newest of several"],
        "id_projeto = 'b0000000-0000-4000-8000-000000000008'",
    ),
    (
        "project_id = 'dddddddd-0000-4000-8000-00000000dddd'",
        &[UNKNOWN],
        "nome_projeto = 'Projeto desconhecido dddddddd-0000-4000-8000-00000000dddd' AND id_projeto::text LIKE 'dddddddd%'",
    ),
    ("project_id = 'Projeto_Ágil'", &[UNKNOWN], "nome_projeto = 'Projeto desconhecido Projeto_Ágil'"),
    ("project_id = ''", &[UNKNOWN], "nome_projeto = 'Projeto desconhecido'"),
    (
        "project_id = '00000000-0000-0000-0000-000000000000'",
        &[UNKNOWN],
        "nome_projeto LIKE 'Projeto desconhecido 00000000-%'",
    ),
    ("project_id = repeat('x', 255)", &[UNKNOWN], "nome_projeto = 'Projeto desconhecido ' || repeat('x', 234)"),
    ("project_id = '''; DROP SCHEMA api_aponta CASCADE; --'", &[UNKNOWN], "nome_projeto LIKE '%DROP SCHEMA%'"),
    ("project_id = '👩‍👩‍👧'", &[UNKNOWN], "nome_projeto = 'Projeto desconhecido 👩‍👩‍👧'"),
    ("project_id = '123'", &[UNKNOWN], "nome_projeto = 'Projeto desconhecido 123'"),
    ("comentario = ''", &["empty comment is none"], "comentario IS NULL"),
    ("comentario = '   '", &[], "comentario = '   '"),
    ("comentario = repeat('🦀', 500)", &[], "comentario = repeat('🦀', 500)"),
    ("comentario = E'\\x1b[31m \\x07'", &[], "comentario = E'\\x1b[31m \\x07'"),
    ("comentario = '=1+1'", &[], "comentario = '=1+1'"),
    ("comentario = E'aspas \" barra \\\\ {\"a\": 1}'", &[], "comentario = E'aspas \" barra \\\\ {\"a\": 1}'"),
    (
        "usuario_id = 'Zé da Silva <ze@x>', usuario_nome = '🦀'",
        &[],
        "usuario_id = 'Zé da Silva <ze@x>' AND usuario_nome = '🦀'",
    ),
    ("usuario_nome = '', usuario_email = ''", &[], "usuario_nome = usuario_id AND usuario_email IS NULL"),
    ("data_apontamento = '2024-02-29'", &[], "data = '2024-02-29'"),
    ("data_apontamento = '0001-01-01'", &[], "data = '0001-01-01'"),
    ("data_apontamento = '9999-12-31'", &[], "data = '9999-12-31'"),
    ("work_item_id = 2147483647", &[], "work_item_id = 2147483647"),
    ("organization_name = ''", &[], "organizacao = ''"),
    ("organization_name = repeat('o', 255)", &[], "organizacao = repeat('o', 255)"),
    (
        "criado_em = '2026-03-01', atualizado_em = '2026-01-01'",
        &[CHANGED],
        "atualizado_em = criado_em AND criado_em = '2026-03-01Z'",
    ),
    (
        "criado_em = '-infinity', atualizado_em = '-infinity'",
        &[CREATED, CHANGED],
        "criado_em = data::timestamp AT TIME ZONE 'UTC'",
    ),
    (
        "id_atividade = 'eeeeeeee-0000-4000-8000-00000000eeee'",
        &[],
        "nome_atividade = 'Atividade desconhecida eeeeeeee-0000-4000-8000-00000000eeee'",
    ),
];

const OBSTACLES: [(&str, &str); 14] = [
    ("duracao = '00:00'", "the duration is not"),
    ("duracao = '25:00'", "the duration is not"),
    ("duracao = '08:60'", "the duration is not"),
    ("duracao = '-1:00'", "the duration is not"),
    ("duracao = 'abc'", "the duration is not"),
    ("duracao = '1,5'", "the duration is not"),
    ("duracao = NULL", "the duration is not"),
    ("duracao = NULL, horas = 2000000000, minutos = 5", "the duration is not"),
    ("duracao = NULL, horas = 0, minutos = 0", "the duration is not"),
    ("work_item_id = 0", "the work item is not"),
    ("work_item_id = -5", "the work item is not"),
    ("data_apontamento = 'infinity'", "the day is not"),
    ("data_apontamento = '0044-03-15 BC'", "the day is not"),
    ("usuario_id = ''", "no person is named"),
];

fn id(prefix: &str, n: usize) -> String {
    format!("{prefix}000000-0000-4000-8000-{n:012}")
}

/// A database whose tables lost their foreign keys, with a plain row for each hostile one.
fn given(entries: usize) -> Database<'static> {
    let database = Cluster::shared().create_database();
    let (projects, activities) = (PROJETOS.len(), ATIVIDADES.len());
    database.execute(&Form::SecondRepaired.tables(OLD));
    database.execute(&format!(
        "SET search_path = {OLD};
         ALTER TABLE apontamentos DROP CONSTRAINT apontamentos_id_atividade_fkey, ALTER comentario TYPE varchar(500);
         ALTER TABLE atividade_projeto DROP CONSTRAINT atividade_projeto_id_atividade_fkey;
         ALTER TABLE atividade_projeto DROP CONSTRAINT atividade_projeto_id_projeto_fkey;
         INSERT INTO projetos (id, external_id, nome, last_sync_at, created_at, updated_at)
         SELECT ('1b000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, ('b0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
                'Projeto ' || n, '2026-01-01Z', '2026-01-01Z', '2026-01-02Z' FROM generate_series(1, {projects}) n;
         INSERT INTO atividades (id, nome, ativo, criado_em, atualizado_em)
         SELECT ('c0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Atividade ' || n, true, '2026-01-01', '2026-01-02'
         FROM generate_series(1, {activities}) n;
         INSERT INTO atividade_projeto (id_atividade, id_projeto) SELECT id, 'b0000000-0000-4000-8000-000000000001' FROM atividades;
         INSERT INTO apontamentos (id, work_item_id, project_id, organization_name, data_apontamento, id_atividade, usuario_id,
                                   usuario_nome, criado_em, atualizado_em, duracao)
         SELECT ('d0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 41, 'b0000000-0000-4000-8000-000000000001', 'exemplo',
                '2026-01-12', 'c0000000-0000-4000-8000-000000000001', 'pessoa-' || n, 'Pessoa', '2026-01-01', '2026-01-02', '01:00'
         FROM generate_series(1, {entries}) n;"
    ));
    database
}

fn change(database: &Database<'_>, table: &str, prefix: &str, changes: impl Iterator<Item = &'static str>) {
    for (n, change) in (1..).zip(changes) {
        database
            .execute(&format!("SET search_path = {OLD}; UPDATE {table} SET {change} WHERE id = '{}'", id(prefix, n)));
    }
}

#[tokio::test]
async fn hostile_rows_are_kept_each_with_its_decision() {
    let database = given(APONTAMENTOS.len());
    change(&database, "projetos", "1b", PROJETOS.iter().map(|(change, ..)| *change));
    change(&database, "atividades", "c0", ATIVIDADES.iter().map(|(change, ..)| *change));
    change(&database, "apontamentos", "d0", APONTAMENTOS.iter().map(|(change, ..)| *change));

    let (outcome, decisions) = import(&database, request(OLD)).await.unwrap();

    let report = applied(outcome);
    assert!(report.sums.iter().all(|sum| sum.different == 0 && 0 < sum.groups), "{:?}", report.sums);
    let mut by_id = BTreeMap::<_, Vec<_>>::new();
    for decision in decisions {
        by_id.entry(decision.id.unwrap()).or_default().push(decision.decision);
    }
    let views = [
        (PROJETOS.as_slice(), "1b", "b0", "SELECT p.*, '2026-01-02Z'::timestamptz AS updated_of FROM api_aponta.projetos p"),
        (ATIVIDADES.as_slice(), "c0", "c0", "SELECT * FROM api_aponta.atividades"),
        (
            APONTAMENTOS.as_slice(),
            "d0",
            "d0",
            "SELECT e.*, p.nome AS nome_projeto, a.nome AS nome_atividade, 'b0000000-0000-4000-8000-000000000001'::uuid AS portal
             FROM api_aponta.apontamentos e JOIN api_aponta.projetos p ON p.id = e.id_projeto
             JOIN api_aponta.atividades a ON a.id = e.id_atividade",
        ),
    ];
    for (rows, old, new, view) in views {
        for (n, (change, expected, condition)) in (1..).zip(rows) {
            let mut found = by_id.remove(&id(old, n)).unwrap_or_default();
            found.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{change}");
            let holds = database.query(&format!("SELECT {condition} FROM ({view}) t WHERE id = '{}'", id(new, n)));
            let row = || database.query(&format!("SELECT t FROM ({view}) t WHERE id = '{}'", id(new, n)));
            assert_eq!(holds, "t", "{change}: {}", row());
        }
    }
    let others: Vec<_> = by_id.into_iter().map(|(id, decisions)| (id, decisions.concat())).collect();
    let expected = [
        ("eeeeeeee-0000-4000-8000-00000000eeee", "only time entries name it: kept as inactive"),
        ("pessoa-3 2026-01-12", "more than 24:00 on one day: kept, nothing can be added"),
    ];
    assert_eq!(others, expected.map(|(id, decision)| (id.to_owned(), decision.to_owned())));
}

#[tokio::test]
async fn rows_that_cannot_be_taken_are_all_named_and_nothing_is_imported() {
    let database = given(OBSTACLES.len() + 1);
    change(&database, "apontamentos", "d0", OBSTACLES.iter().map(|(change, _)| *change));
    let before = old_rows(&database, OLD);

    let (outcome, decisions) = import(&database, request(OLD)).await.unwrap();

    assert!(matches!(outcome, ImportOutcome::Impossible(_)), "{outcome:?}");
    let obstacles: Vec<_> = decisions.iter().filter(|decision| decision.is_obstacle).collect();
    for (n, (change, reason)) in (1..).zip(OBSTACLES) {
        let found: Vec<_> =
            obstacles.iter().filter(|d| d.id.as_deref() == Some(&id("d0", n))).map(|d| &d.decision).collect();
        assert!(found.len() == 1 && found[0].starts_with(reason), "{change}: {found:?}");
    }
    assert_eq!(obstacles.len(), OBSTACLES.len());
    assert_eq!(old_rows(&database, OLD), before);
    assert_eq!(database.query("SELECT to_regnamespace('api_aponta') IS NULL"), "t");
}

#[tokio::test]
async fn projects_of_activities_are_kept_in_their_order_up_to_a_hundred() {
    let database = given(0);
    let c = |n| id("c0", n);
    database.execute(&format!(
        "SET search_path = {OLD}; DELETE FROM atividade_projeto;
         INSERT INTO projetos (id, external_id, nome) SELECT ('90000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
             ('91000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Muitos ' || n FROM generate_series(1, 105) n;
         INSERT INTO projetos (id, external_id, nome, last_sync_at)
         VALUES ('92000000-0000-4000-8000-000000000001', '00000000-0000-0000-0000-000000000000', 'Sem GUID', now());
         INSERT INTO atividade_projeto (id_atividade, id_projeto, criado_em)
         SELECT '{}'::uuid, id, '2026-01-01'::timestamp - right(id::text, 3)::integer * interval '1 s' FROM projetos WHERE id::text LIKE '90%';
         INSERT INTO atividade_projeto (id_atividade, id_projeto, criado_em)
         VALUES ('{}', '1b000000-0000-4000-8000-000000000002', '2026-01-01'), ('{}', 'b0000000-0000-4000-8000-000000000002', '2026-01-02'),
                ('{}', '1b000000-0000-4000-8000-000000000001', '2026-01-03'), ('{}', '92000000-0000-4000-8000-000000000001', '2026-01-01'),
                ('{}', 'dddddddd-0000-4000-8000-00000000dddd', '2026-01-01'), ('aaaaaaaa-0000-4000-8000-00000000aaaa', '{}', now())",
        c(1), c(2), c(2), c(2), c(3), c(4), id("1b", 1)
    ));

    let (outcome, decisions) = import(&database, request(OLD)).await.unwrap();

    let _ = applied(outcome);
    let projects = |n| {
        database.query(&format!(
            "SELECT a.id_projeto || ' ' || COALESCE((SELECT string_agg(right(id_projeto::text, 3), ',' ORDER BY lugar)
                 FROM api_aponta.atividade_projetos WHERE id_atividade = a.id), '') FROM api_aponta.atividades a WHERE id = '{}'", c(n)
        ))
    };
    let many: Vec<_> = (6..105).rev().map(|n| format!("{n:03}")).collect();
    assert_eq!(projects(1), format!("91000000-0000-4000-8000-000000000105 {}", many.join(",")));
    assert_eq!(projects(2), format!("{} 001", id("b0", 2)), "the same project by both of its ids is one");
    assert_eq!(projects(3), "92000000-0000-4000-8000-000000000001 ", "without a GUID it is a local one");
    assert_eq!(projects(4), "dddddddd-0000-4000-8000-00000000dddd ");
    let without = projects(5);
    let nome = database.query(&format!(
        "SELECT nome, azure_project_id IS NULL FROM api_aponta.projetos WHERE id = '{}'",
        without.trim()
    ));
    assert_eq!(nome, "Projeto desconhecido de atividades sem projeto|t");
    let count = |text: &str| decisions.iter().filter(|decision| decision.decision.contains(text)).count();
    assert_eq!(
        (count("more than 100 projects"), count("the activity does not exist"), count("without a project")),
        (5, 1, 16)
    );
}
