//! The configuration of the PostgreSQL adapter, from the settings.

use crate::settings::{SettingFault, Settings};
use adapters_postgres::{Config, SchemaName};

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
