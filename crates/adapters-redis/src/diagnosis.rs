//! What `aponta doctor` reports about the server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::{AsyncConnectionConfig, RedisError};

use crate::config::Config;
use crate::link::describe;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The state of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Product and version, like `Valkey 8.1.1`.
    pub version: String,
    /// The time of one operation.
    pub response_time: Duration,
    /// The bytes of memory at most; zero without a limit.
    pub max_memory: u64,
    /// What a full server does, `maxmemory-policy`.
    pub eviction_policy: String,
    /// Whether it writes its memory to a disk.
    pub is_persistent: bool,
}

impl Diagnosis {
    /// Asks the server of `config`.
    ///
    /// # Errors
    /// The kind of error in words, without secrets.
    pub async fn of(config: &Config) -> Result<Self, String> {
        let words = |error: RedisError| describe(&error);
        let limits =
            AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
        let mut connection =
            config.client.get_multiplexed_async_connection_with_config(&limits).await.map_err(words)?;
        let started = Instant::now();
        let info: String = redis::cmd("INFO").query_async(&mut connection).await.map_err(words)?;
        let response_time = started.elapsed();
        // Managed servers refuse CONFIG. They are not persistent unless they say so.
        let save: HashMap<String, String> =
            redis::cmd("CONFIG").arg("GET").arg("save").query_async(&mut connection).await.unwrap_or_default();
        Ok(Self::read(&info, save.get("save").map_or("", String::as_str), response_time))
    }

    fn read(info: &str, save: &str, response_time: Duration) -> Self {
        let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let field = |name| fields.get(name).copied();
        let version = match field("valkey_version") {
            Some(version) => format!("Valkey {version}"),
            None => format!("Redis {}", field("redis_version").unwrap_or("of an unknown version")),
        };
        Self {
            version,
            response_time,
            max_memory: field("maxmemory").and_then(|bytes| bytes.parse().ok()).unwrap_or_default(),
            eviction_policy: field("maxmemory_policy").unwrap_or_default().to_owned(),
            is_persistent: field("aof_enabled") == Some("1") || !save.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnosis_reads_the_fields_of_both_products() {
        let valkey = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.1\r\n# Memory\r\nmaxmemory:1000\r\n\
                      maxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n";
        let redis = "redis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let read = |info, save| {
            let diagnosis = Diagnosis::read(info, save, Duration::ZERO);
            (diagnosis.version, diagnosis.max_memory, diagnosis.eviction_policy, diagnosis.is_persistent)
        };

        assert_eq!(read(valkey, ""), ("Valkey 8.1.1".to_owned(), 1000, "allkeys-lru".to_owned(), false));
        assert_eq!(read(redis, ""), ("Redis 7.0.15".to_owned(), 0, "noeviction".to_owned(), true));
        assert!(read(valkey, "3600 1").3);
    }
}
