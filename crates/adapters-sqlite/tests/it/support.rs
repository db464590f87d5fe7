//! Databases in temporary directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters_sqlite::{
    SqliteApontamentoRepository, SqliteAtividadeRepository, SqliteDatabase, SqliteProjetoRepository, SqliteReadiness,
    SqliteWriteBackQueue,
};
use domain::testing::suite::Repositories;

/// A directory that is removed on drop.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("aponta-sqlite-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A leftover is in the temporary directory of the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn repositories(database: &SqliteDatabase) -> Repositories {
    Repositories {
        atividades: Arc::new(SqliteAtividadeRepository::new(database)),
        apontamentos: Arc::new(SqliteApontamentoRepository::new(database)),
        apontamentos_escritos: Arc::new(SqliteApontamentoRepository::new(database).with_write_back()),
        escritas: Arc::new(SqliteWriteBackQueue::new(database, "exemplo")),
        projetos: Arc::new(SqliteProjetoRepository::new(database)),
        readiness: Arc::new(SqliteReadiness::new(database)),
    }
}

pub async fn fresh() -> (Repositories, Directory) {
    let directory = Directory::new();
    let database = SqliteDatabase::open(directory.path()).await.unwrap();
    (repositories(&database), directory)
}
