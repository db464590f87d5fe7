//! Constraints of the database.

use e2e::postgres::{Cluster, Database};
use migration::Migrator;
use sea_orm_migration::MigratorTrait;

/// The names of all constraints of the tables, with what breaks each of them alone. The statements run on one projeto
/// and one atividade, both valid.
const BREACHES: [(&str, &str); 46] = [
    (
        "projetos_pkey",
        "INSERT INTO projetos (id, nome, criado_em, atualizado_em) SELECT id, nome, criado_em, atualizado_em FROM projetos",
    ),
    ("\"nome_busca\"", "UPDATE projetos SET nome_busca = 'outro'"),
    (
        "projetos_azure_project_id_check",
        "UPDATE projetos SET azure_project_id = upper(id::text), sincronizado_em = now()",
    ),
    (
        "projetos_azure_project_id_check",
        "UPDATE projetos SET azure_project_id = gen_random_uuid(), sincronizado_em = now()",
    ),
    ("projetos_sincronizado_em_check", "UPDATE projetos SET azure_project_id = id"),
    ("projetos_sincronizado_em_check", "UPDATE projetos SET sincronizado_em = now()"),
    ("projetos_nome_check", "UPDATE projetos SET nome = ''"),
    ("projetos_nome_check", "UPDATE projetos SET nome = E' \\t\\n'"),
    ("projetos_nome_check", "UPDATE projetos SET nome = E'Portal\\r'"),
    ("projetos_descricao_check", "UPDATE projetos SET descricao = repeat('é', 32768) || 'a'"),
    ("projetos_atualizado_em_check", "UPDATE projetos SET atualizado_em = criado_em - interval '1 microsecond'"),
    ("varying(255)", "UPDATE projetos SET nome = repeat('é', 256)"),
    (
        "atividades_pkey",
        "INSERT INTO atividades (id, nome, id_projeto, criado_em, atualizado_em)
         SELECT id, nome, id_projeto, criado_em, atualizado_em FROM atividades",
    ),
    ("\"nome_busca\"", "UPDATE atividades SET nome_busca = 'outro'"),
    ("atividades_id_projeto_fkey", "DELETE FROM projetos"),
    ("atividades_id_projeto_fkey", "UPDATE atividades SET id_projeto = gen_random_uuid()"),
    ("atividades_nome_check", "UPDATE atividades SET nome = E'\\fRevisar'"),
    ("atividades_descricao_check", "UPDATE atividades SET descricao = repeat('a', 65537)"),
    ("atividades_atualizado_em_check", "UPDATE atividades SET atualizado_em = '-infinity'"),
    ("varying(255)", "UPDATE atividades SET nome = repeat('é', 256)"),
    (
        "atividade_projetos_pkey",
        "INSERT INTO atividade_projetos SELECT a.id, a.id_projeto, n FROM atividades a, generate_series(1, 2) n",
    ),
    (
        "atividade_projetos_lugar_key",
        "INSERT INTO atividade_projetos SELECT id, gen_random_uuid(), 1 FROM atividades, generate_series(1, 2)",
    ),
    ("atividade_projetos_lugar_check", "INSERT INTO atividade_projetos SELECT id, id_projeto, 0 FROM atividades"),
    (
        "atividade_projetos_id_atividade_fkey",
        "INSERT INTO atividade_projetos SELECT gen_random_uuid(), id, 1 FROM projetos",
    ),
    (
        "atividade_projetos_id_projeto_fkey",
        "INSERT INTO atividade_projetos SELECT id, gen_random_uuid(), 99 FROM atividades",
    ),
    (
        "idempotencia_pkey",
        "INSERT INTO idempotencia SELECT 'ana', 'a', decode(repeat('00', 32), 'hex'), NULL, now() FROM generate_series(1, 2)",
    ),
    ("idempotencia_pedido_check", "INSERT INTO idempotencia VALUES ('ana', 'a', '', NULL, now())"),
    ("\"criado_em\"", "UPDATE atividades SET criado_em = NULL"),
    ("apontamentos_pkey", "INSERT INTO apontamentos SELECT * FROM apontamentos"),
    ("apontamentos_id_projeto_fkey", "UPDATE apontamentos SET id_projeto = gen_random_uuid()"),
    ("apontamentos_id_atividade_fkey", "UPDATE apontamentos SET id_atividade = gen_random_uuid()"),
    ("apontamentos_id_atividade_fkey", "DELETE FROM atividades"),
    ("apontamentos_work_item_id_check", "UPDATE apontamentos SET work_item_id = 0"),
    ("apontamentos_minutos_check", "UPDATE apontamentos SET minutos = 0"),
    ("apontamentos_minutos_check", "UPDATE apontamentos SET minutos = 1500"),
    ("apontamentos_comentario_check", "UPDATE apontamentos SET comentario = ''"),
    ("apontamentos_comentario_check", "UPDATE apontamentos SET comentario = repeat('é', 501)"),
    ("apontamentos_atualizado_em_check", "UPDATE apontamentos SET atualizado_em = '-infinity'"),
    (
        "work_items_pkey",
        "INSERT INTO work_items SELECT 'exemplo', 41, 'Tarefa', 'Task', now() FROM generate_series(1, 2)",
    ),
    ("escritas_pkey", "INSERT INTO escritas SELECT * FROM escritas"),
    ("escritas_estado_check", "UPDATE escritas SET proxima_em = now()"),
    ("escritas_estado_check", "UPDATE escritas SET pendente_desde = now()"),
    ("escritas_estado_check", "UPDATE escritas SET pendente_desde = now(), proxima_em = now(), motivo = 'regra'"),
    ("escritas_motivo_check", "UPDATE escritas SET motivo = 'outro'"),
    ("escritas_conhecido_check", "UPDATE escritas SET rev = 1, completed_work = 1, manual = 1"),
    ("escritas_tentativa_check", "UPDATE escritas SET tentativa_rev = 1"),
];

async fn migrated(database: &Database<'_>) {
    Migrator::up(&super::connect(database).await, None).await.unwrap();
    database.execute(
        "INSERT INTO projetos (id, nome, criado_em, atualizado_em) VALUES (gen_random_uuid(), 'Portal', now(), now());
         INSERT INTO atividades (id, nome, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Revisar', id, now(), now() FROM projetos;
         INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, usuario_id,
                                   usuario_nome, criado_em, atualizado_em)
         SELECT gen_random_uuid(), id_projeto, id, 41, 'exemplo', '2026-01-12', 90, 'maria', 'Maria', now(), now()
         FROM atividades;
         INSERT INTO escritas (organizacao, work_item_id) VALUES ('exemplo', 41);",
    );
}

#[tokio::test]
async fn violated_rule_is_an_error_with_the_name_of_its_constraint() {
    let database = Cluster::shared().create_database();
    migrated(&database).await;

    for (constraint, statement) in BREACHES {
        // The block returns the error message, so that one connection serves for one breach.
        let said = database.query(&format!(
            "DO $do$ BEGIN {statement}; RAISE 'nothing refused it';
             EXCEPTION WHEN OTHERS THEN PERFORM set_config('teste.said', SQLERRM, false); END $do$;
             SELECT current_setting('teste.said');"
        ));
        assert!(said.contains(constraint), "{statement} gave «{said}» and not {constraint}");
    }
}

#[tokio::test]
async fn values_at_their_limits_are_accepted() {
    let database = Cluster::shared().create_database();
    migrated(&database).await;

    database.execute(
        "UPDATE projetos SET nome = repeat('🦀', 255), descricao = repeat('é', 32768), atualizado_em = criado_em,
                             azure_project_id = id, sincronizado_em = now();
         UPDATE atividades SET nome = 'a', descricao = '', criado_por = repeat('é', 255);
         UPDATE apontamentos SET minutos = 1499, comentario = repeat('🦀', 500), work_item_id = 2147483647;",
    );

    assert_eq!(
        database.query("SELECT length(nome), ativo FROM projetos, LATERAL (SELECT ativo FROM atividades) a"),
        "255|t"
    );
}

#[tokio::test]
async fn constraints_have_explicit_names() {
    let database = Cluster::shared().create_database();
    migrated(&database).await;

    let named: Vec<_> =
        BREACHES.iter().map(|(constraint, _)| *constraint).chain(["projetos_azure_project_id_key"]).collect();
    let constraints = database.query(
        "SELECT conname FROM pg_constraint WHERE conrelid IN ('projetos'::regclass, 'atividades'::regclass, 'idempotencia'::regclass, 'atividade_projetos'::regclass,
                                                               'apontamentos'::regclass, 'work_items'::regclass)
         AND contype <> 'n'",
    );

    for constraint in constraints.lines() {
        assert!(named.contains(&constraint), "{constraint} has no breach in this test");
    }
}
