use adapters_sqlite::{OpenError, SqliteDatabase};
use domain::testing::{NOW, maria, nome_projeto, nova_atividade, projeto_id};
use domain::{
    AtividadeQuery, AtividadeRecord, Error, NovaAtividade, ProjetoId, ProjetoRecord, ProjetoRef, ProjetoRefs, Service,
};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use crate::support::{Directory, repositories};

fn projeto() -> ProjetoRecord {
    ProjetoRecord { id: projeto_id(), nome: nome_projeto("Portal"), descricao: None, criado_em: NOW }
}

#[tokio::test]
async fn reopened_database_has_its_data() {
    let directory = Directory::new();
    let database = SqliteDatabase::open(directory.path()).await.unwrap();
    let stored = repositories(&database).projetos.insert(projeto(), None).await.unwrap();
    database.close().await;

    let database = SqliteDatabase::open(directory.path()).await.unwrap();

    assert_eq!(repositories(&database).projetos.find(projeto_id()).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn missing_directory_is_created_with_mode_700() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let inner = directory.path().join("a/b");

    SqliteDatabase::open(&inner).await.unwrap();

    assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn unusable_path_is_named_with_its_reason_in_one_line() {
    let directory = Directory::new();
    let file = directory.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let garbage = directory.path().join("garbage");
    std::fs::create_dir(&garbage).unwrap();
    std::fs::write(garbage.join("aponta.sqlite3"), "x".repeat(8192)).unwrap();
    let blocked = directory.path().join("blocked");
    std::fs::create_dir_all(blocked.join("aponta.sqlite3")).unwrap();

    for path in [file.join("sub"), garbage, blocked] {
        let message = SqliteDatabase::open(&path).await.unwrap_err().to_string();

        assert!(message.contains(path.to_str().unwrap()), "{message}");
        assert!(message.contains("--data DIR") && !message.contains('\n'), "{message}");
    }
}

#[tokio::test]
async fn file_of_a_newer_version_is_rejected_unchanged() {
    let directory = Directory::new();
    SqliteDatabase::open(directory.path()).await.unwrap().close().await;
    let file = directory.path().join("aponta.sqlite3");
    // The number of the schema is at offset 60 of the file (https://sqlite.org/fileformat2.html).
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.get_mut(60..64).unwrap().copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, &bytes).unwrap();

    let result = SqliteDatabase::open(directory.path()).await;

    assert!(matches!(result, Err(OpenError::Newer { .. })), "{result:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[tokio::test]
async fn file_of_an_earlier_version_gets_the_missing_tables_and_keeps_its_rows() {
    // What undoes each step, newest first, and the version before that step.
    let later = [
        (6, "ALTER TABLE escritas DROP COLUMN falhou_em; ALTER TABLE escritas DROP COLUMN usuario_id"),
        (5, "ALTER TABLE apontamentos DROP COLUMN verificado"),
        (4, "DROP TABLE revisoes"),
        (3, "DROP TABLE escritas"),
        (2, "DROP TABLE atividade_projetos"),
        (1, "DROP TABLE apontamentos; DROP TABLE work_items"),
    ];
    for steps in 1..=later.len() {
        let undone = &later[..steps];
        let version = undone[steps - 1].0;
        let directory = Directory::new();
        let database = SqliteDatabase::open(directory.path()).await.unwrap();
        let first = repositories(&database).projetos.insert(projeto(), None).await.unwrap();
        let nova = AtividadeRecord::new(nova_atividade("Antiga"), &maria().usuario, NOW);
        let antiga = repositories(&database).atividades.insert(nova).await.unwrap();
        database.close().await;
        let file = directory.path().join("aponta.sqlite3");
        let earlier = sea_orm::Database::connect(format!("sqlite://{}", file.to_str().unwrap())).await.unwrap();
        for (_, undo) in undone {
            earlier.execute_unprepared(undo).await.unwrap();
        }
        earlier.execute_unprepared(&format!("PRAGMA user_version = {version}")).await.unwrap();
        earlier.close().await.unwrap();

        let repositories = repositories(&SqliteDatabase::open(directory.path()).await.unwrap());

        assert_eq!(repositories.atividades.find(antiga.id).await.unwrap(), Some(antiga));
        let second = ProjetoRecord { id: ProjetoId(Uuid::from_u128(2)), ..projeto() };
        let second = repositories.projetos.insert(second, None).await.unwrap();
        let ids = [first.id, second.id].map(|id| ProjetoRef(id.0)).to_vec();
        let nova = NovaAtividade { projetos: ProjetoRefs::parse(ids).unwrap(), ..nova_atividade("Revisar") };
        let stored = repositories.atividades.insert(AtividadeRecord::new(nova, &maria().usuario, NOW)).await.unwrap();
        assert_eq!((stored.id_projeto, stored.outros_projetos[0].id), (first.id, second.id));
    }
}

#[tokio::test]
async fn new_file_opened_concurrently_gets_one_schema() {
    for _ in 0..20 {
        let directory = Directory::new();
        let opening = (0..8).map(|_| {
            let path = directory.path().to_owned();
            tokio::spawn(async move { SqliteDatabase::open(&path).await })
        });
        let mut opened = Vec::new();
        for opening in opening.collect::<Vec<_>>() {
            opened.push(opening.await.unwrap().unwrap());
        }

        repositories(&opened[0]).projetos.insert(projeto(), None).await.unwrap();
        for other in &opened {
            assert!(repositories(other).projetos.find(projeto_id()).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn fifty_concurrent_writers_on_two_handles_succeed() {
    let directory = Directory::new();
    let databases =
        [SqliteDatabase::open(directory.path()).await.unwrap(), SqliteDatabase::open(directory.path()).await.unwrap()];
    repositories(&databases[0]).projetos.insert(projeto(), None).await.unwrap();

    let writers = (0..50).map(|n| {
        let repositories = repositories(&databases[n % 2]);
        tokio::spawn(async move {
            let nova = nova_atividade(&format!("Atividade {n}"));
            repositories.atividades.insert(AtividadeRecord::new(nova, &maria().usuario, NOW)).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }

    let page = repositories(&databases[0]).atividades.list(AtividadeQuery::default()).await.unwrap();
    assert_eq!((page.total, page.items.len()), (50, 50));
}

#[tokio::test]
async fn needs_samples_is_false_after_loading_or_with_data() {
    let directory = Directory::new();
    let database = SqliteDatabase::open(directory.path()).await.unwrap();
    assert!(database.needs_samples().await.unwrap());
    database.mark_samples_loaded().await.unwrap();
    database.mark_samples_loaded().await.unwrap();
    assert!(!database.needs_samples().await.unwrap(), "they were loaded before");

    let directory = Directory::new();
    let database = SqliteDatabase::open(directory.path()).await.unwrap();
    repositories(&database).projetos.insert(projeto(), None).await.unwrap();
    assert!(!database.needs_samples().await.unwrap(), "the database has a projeto");
}

#[tokio::test]
async fn closed_database_is_unavailable() {
    let directory = Directory::new();
    let database = SqliteDatabase::open(directory.path()).await.unwrap();
    let repositories = repositories(&database);
    database.close().await;

    let found = repositories.projetos.find(ProjetoId(Uuid::nil())).await;
    let ready = repositories.readiness.check().await;

    for result in [found.map(drop), ready] {
        assert!(matches!(result, Err(Error::Unavailable { service: Service::Database, .. })), "{result:?}");
    }
}
