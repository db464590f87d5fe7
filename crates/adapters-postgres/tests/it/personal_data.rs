//! Personal data: who is found, what an export has, and what an anonymised person leaves.

use adapters_postgres::{Person, PersonalData, PersonalDataError, PersonalRecord};
use domain::testing::NOW;
use e2e::postgres::Database;

use crate::support::{config, migrated, transaction, until_blocked};

/// Two days of Maria under two addresses, one of Rui and one of somebody who has Maria's old address today; an atividade of
/// each author; a key of Maria.
const ROWS: &str = "
    SET search_path = api_aponta;
    INSERT INTO projetos (id, nome, criado_em, atualizado_em)
    VALUES ('00000000-0000-0000-0000-000000000001', 'Portal', now(), now());
    INSERT INTO atividades (id, nome, ativo, id_projeto, criado_por, criado_em, atualizado_em)
    SELECT format('00000000-0000-0000-0000-%s', lpad(n::text, 12, '0'))::uuid, 'Atividade ' || n, true,
           '00000000-0000-0000-0000-000000000001', autor, '2026-01-01Z', '2026-01-01Z'
    FROM (VALUES (1, 'Maria@exemplo.br'), (2, 'id-maria'), (3, 'antiga@exemplo.br'), (4, 'rui@exemplo.br'), (5, NULL),
                 (6, 'so-autora@exemplo.br')) a (n, autor);
    INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario,
                              usuario_id, usuario_nome, usuario_email, criado_em, atualizado_em)
    SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001', 41, 'exemplo',
           data::date, minutos, 'Revisão', id, nome, email, '2026-01-01Z', '2026-01-01Z'
    FROM (VALUES ('2026-01-12', 1440, 'id-maria', 'Maria Souza', 'maria@exemplo.br'),
                 ('2026-01-13', 1000, 'id-maria', 'Maria Lima', 'antiga@exemplo.br'),
                 ('2026-01-13', 440, 'id-maria', 'Maria Lima', NULL),
                 ('2026-01-12', 60, 'id-rui', 'Rui', 'rui@exemplo.br'),
                 ('2026-01-12', 30, 'id-outra', 'Outra', 'ANTIGA@exemplo.br')) e (data, minutos, id, nome, email);
    INSERT INTO idempotencia (usuario, chave, pedido, resposta, criado_em)
    VALUES ('id-maria', 'c1', decode(repeat('00', 32), 'hex'), '[]', now()),
           ('id-rui', 'c1', decode(repeat('00', 32), 'hex'), '[]', now())";

const HOURS: &str = "SELECT data, count(*), sum(minutos) FROM api_aponta.apontamentos GROUP BY 1 ORDER BY 1";
const OTHERS: &str = "
    SELECT to_jsonb(e) FROM api_aponta.apontamentos e WHERE usuario_id IN ('id-rui', 'id-outra')
    UNION ALL SELECT to_jsonb(a) FROM api_aponta.atividades a WHERE id::text ~ '[3456]$'
    UNION ALL SELECT to_jsonb(i) FROM api_aponta.idempotencia i WHERE usuario = 'id-rui' ORDER BY 1";
/// Everything in the schema that names Maria.
const MARIA: &str = "
    SELECT count(*) FROM (SELECT e::text AS linha FROM api_aponta.apontamentos e
                          UNION ALL SELECT a::text FROM api_aponta.atividades a WHERE criado_por <> 'antiga@exemplo.br'
                          UNION ALL SELECT i::text FROM api_aponta.idempotencia i) linhas WHERE linha ~* 'maria'";

async fn given() -> (Database<'static>, PersonalData) {
    let database = migrated().await;
    database.execute(ROWS);
    let data = PersonalData::new(config(&database));
    (database, data)
}

fn summary(person: &Person) -> (&str, i64, i64, i64, i64) {
    (&person.id, person.entries, person.minutes, person.activities, person.keys)
}

#[tokio::test]
async fn find_is_by_id_then_by_address_and_never_by_one_of_several_persons() {
    let (_database, data) = given().await;

    let maria = data.find("MARIA@exemplo.BR").await.unwrap();
    assert_eq!(summary(&maria), ("id-maria", 3, 2880, 2, 1));
    assert_eq!(
        (maria.names.as_slice(), maria.emails.as_slice()),
        (
            ["Maria Lima".to_owned(), "Maria Souza".to_owned()].as_slice(),
            ["antiga@exemplo.br".to_owned(), "maria@exemplo.br".to_owned()].as_slice()
        )
    );
    assert_eq!(maria.shared, ["antiga@exemplo.br"]);
    assert_eq!(data.find("id-maria").await.unwrap(), maria);
    let author = data.find("So-Autora@exemplo.br").await.unwrap();
    assert_eq!(summary(&author), ("So-Autora@exemplo.br", 0, 0, 1, 0));
    let error = data.find("antiga@exemplo.br").await.unwrap_err();
    assert!(matches!(&error, PersonalDataError::Ambiguous(ids) if *ids == ["id-maria", "id-outra"]), "{error}");
    for unknown in ["", "%", "maria", "ID-MARIA", "' OR true --", "Maria Souza", "x".repeat(100_000).as_str()] {
        let error = data.find(unknown).await.unwrap_err();
        assert!(matches!(error, PersonalDataError::Unknown), "{unknown:.20}: {error}");
    }
}

#[tokio::test]
async fn export_has_every_row_of_the_person_and_no_other() {
    let (database, data) = given().await;
    let (mut persons, mut entries, mut activities, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());

    let person = data
        .export("maria@exemplo.br", |record| {
            match record {
                PersonalRecord::Person(person) => persons.push(person),
                PersonalRecord::Entry(entry) => entries.push((entry.usuario.id.clone(), entry.minutos.get())),
                PersonalRecord::Activity { nome, criado_por, .. } => activities.push((nome, criado_por)),
                PersonalRecord::Key { chave, .. } => keys.push(chave),
            }
            Ok(())
        })
        .await
        .unwrap();

    assert_eq!(persons, [person]);
    let id = || "id-maria".to_owned();
    entries.sort();
    assert_eq!(entries, [(id(), 440), (id(), 1000), (id(), 1440)]);
    assert_eq!(
        activities,
        [("Atividade 1".to_owned(), "Maria@exemplo.br".to_owned()), ("Atividade 2".to_owned(), id())]
    );
    assert_eq!(keys, ["c1"]);
    let failed = data.export("id-maria", |_| Err(std::io::Error::other("disk full"))).await.unwrap_err();
    assert_eq!(failed.to_string(), "disk full");
    assert_eq!(database.query(MARIA), "6", "an export changes nothing");
}

#[tokio::test]
async fn anonymize_keeps_hours_and_others_and_leaves_no_trace() {
    let (database, data) = given().await;
    let (hours, others) = (database.query(HOURS), database.query(OTHERS));

    let (person, pseudonym) = data.anonymize("maria@exemplo.br", NOW).await.unwrap();

    assert_eq!(summary(&person), ("id-maria", 3, 2880, 2, 1));
    assert_eq!((database.query(HOURS), database.query(OTHERS)), (hours, others));
    assert_eq!(database.query(MARIA), "0");
    let of_pseudonym = "SELECT usuario_nome, usuario_email IS NULL, atualizado_em > criado_em, count(*), sum(minutos)
                        FROM api_aponta.apontamentos WHERE usuario_id LIKE 'anonimo-%' GROUP BY usuario_id, 1, 2, 3";
    assert_eq!(database.query(of_pseudonym), format!("{}|t|t|3|2880", pseudonym.name));
    let authors = format!("SELECT count(*) FROM api_aponta.atividades WHERE criado_por = '{}'", pseudonym.id);
    assert_eq!(database.query(&authors), "2");
    // Nothing is left for a second call, and the address that both had belongs to the other person alone.
    let again = data.anonymize("id-maria", NOW).await.unwrap_err();
    assert!(matches!(again, PersonalDataError::Unknown), "{again}");
    let outra = data.find("antiga@exemplo.br").await.unwrap();
    assert_eq!((summary(&outra), outra.shared.len()), (("id-outra", 1, 30, 1, 0), 0));
}

#[tokio::test]
async fn anonymize_at_the_same_time_happens_once() {
    let (database, data) = given().await;
    let other = transaction(&database, "SELECT FROM api_aponta.apontamentos FOR UPDATE").await;

    let calls = ["id-maria", "maria@exemplo.br", "id-maria"].map(|usuario| {
        let data = data.clone();
        tokio::spawn(async move { data.anonymize(usuario, NOW).await })
    });
    until_blocked(&database, 3, "100 ms").await;
    other.end("ROLLBACK").await;
    let mut pseudonyms = Vec::new();
    for call in calls {
        pseudonyms.extend(call.await.unwrap().ok().map(|(_, pseudonym)| pseudonym.id));
    }

    assert_eq!(pseudonyms.len(), 1);
    let ids = "SELECT DISTINCT usuario_id FROM api_aponta.apontamentos WHERE usuario_id LIKE 'anonimo-%'";
    assert_eq!(database.query(ids), pseudonyms.concat());
}

#[tokio::test]
async fn anonymize_that_fails_changes_nothing() {
    let (database, data) = given().await;
    let before = database.query("SELECT * FROM api_aponta.apontamentos ORDER BY id");
    // The second statement fails.
    database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON api_aponta.atividades FOR EACH ROW EXECUTE FUNCTION refuse()",
    );

    let error = data.anonymize("id-maria", NOW).await.unwrap_err();

    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert_eq!(database.query("SELECT * FROM api_aponta.apontamentos ORDER BY id"), before);
}
