//! The configuration of the PostgreSQL adapter, from the settings.

use crate::settings::{ConfigError, Settings};
use adapters_postgres::{Config, SchemaName};
use secrecy::SecretString;

const REPLICAS: &str = "DATABASE_REPLICA_URLS";

/// Makes the configuration of the adapter, or returns every setting of the database that is wrong.
pub fn config(settings: &Settings) -> Result<Config, Vec<ConfigError>> {
    let database = &settings.database;
    let parse = |url: &SecretString, schema: &SchemaName, names: &'static str| {
        Config::from_url(url, schema.clone()).map_err(|reason| vec![ConfigError::new(names, reason.to_string())])
    };
    let config = |schema: SchemaName| {
        let direct = database.direct_url.as_ref().map(|url| parse(url, &schema, "DATABASE_DIRECT_URL")).transpose();
        let replicas = database.replica_urls.iter().map(|url| parse(url, &schema, REPLICAS)).collect::<Result<_, _>>();
        let main = database.url().and_then(|url| parse(url, &schema, database.url_settings));
        match (main, direct, replicas) {
            (Ok(main), Ok(direct), Ok(replicas)) => {
                let main = main.max_connections(database.pool_size);
                let main = match direct {
                    Some(direct) => main.with_direct(direct),
                    None => main,
                };
                main.with_replicas(replicas).map_err(|reason| vec![ConfigError::new(REPLICAS, reason.to_string())])
            }
            (main, direct, replicas) => {
                Err([main.err(), direct.err(), replicas.err()].into_iter().flatten().flatten().collect())
            }
        }
    };
    match schema(settings) {
        Ok(schema) => config(schema),
        // The URLs are parsed as well, so that one message names all errors.
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
