//! The configuration of the PostgreSQL adapter, from the settings.

use crate::settings::{ConfigError, Settings};
use adapters_postgres::{Config, SchemaName};

/// Makes the configuration of the adapter, or returns every setting of the database that is wrong.
pub fn config(settings: &Settings) -> Result<Config, Vec<ConfigError>> {
    let config = |schema: SchemaName| {
        Config::from_url(settings.database.url()?, schema)
            .map(|config| config.max_connections(settings.database.pool_size))
            .map_err(|reason| vec![ConfigError::new(settings.database.url_settings, reason.to_string())])
    };
    match schema(settings) {
        Ok(schema) => config(schema),
        // The URL is parsed as well, so that one message names both errors.
        Err(error) => {
            let others = SchemaName::parse("public").ok().and_then(|schema| config(schema).err());
            Err([error].into_iter().chain(others.into_iter().flatten()).collect())
        }
    }
}

/// Parses `DATABASE_SCHEMA`.
pub fn schema(settings: &Settings) -> Result<SchemaName, ConfigError> {
    SchemaName::parse(&settings.database.schema)
        .map_err(|reason| ConfigError::value("DATABASE_SCHEMA", &settings.database.schema, reason.to_string()))
}
