//! The database of the settings, for the commands that need it.

use std::time::Duration;

use adapters_postgres::{Config, PostgresDatabase, SchemaName};
use http_actix::settings::{SettingFault, Settings};
use tokio::time::Instant;

use super::Failure;

/// How long a start waits for a database that is not there yet; after that, whoever started it should know.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long it waits between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// What the settings say of the database, as the adapter wants it.
pub fn config(settings: &Settings) -> Result<Config, Vec<SettingFault>> {
    let config = |schema: SchemaName| {
        Config::from_url(settings.database.url()?, schema)
            .map(|config| config.max_connections(settings.database.pool_size))
            .map_err(|reason| vec![SettingFault::new(settings.database.url_settings, reason.to_string())])
    };
    match schema(settings) {
        Ok(schema) => config(schema),
        // The URL is read all the same, so that one message names both.
        Err(fault) => {
            let others = SchemaName::parse("public").ok().and_then(|schema| config(schema).err());
            Err([fault].into_iter().chain(others.into_iter().flatten()).collect())
        }
    }
}

/// The schema of the settings, wherever it is.
pub fn schema(settings: &Settings) -> Result<SchemaName, SettingFault> {
    SchemaName::parse(&settings.database.schema)
        .map_err(|reason| SettingFault::value("DATABASE_SCHEMA", &settings.database.schema, reason.to_string()))
}

/// Connects, waiting for a server that is still starting.
pub async fn connect(config: Config) -> Result<PostgresDatabase, Failure> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match PostgresDatabase::connect(config.clone()).await {
            Err(error) if error.is_temporary() && Instant::now() < give_up => {
                tracing::warn!("{error}; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done.map_err(Failure::new),
        }
    }
}
