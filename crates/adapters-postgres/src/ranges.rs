//! The ranges into which the order of creation is cut, so that a page deep in the list is found without passing over
//! all the rows before it.

use std::time::Duration;

use domain::Error;
use tokio::time::timeout;

use crate::db_error::DbError;
use crate::{Config, PostgresDatabase, db_error};

/// How many atividades a range has when it is cut: so many are passed over in less time than a page takes.
pub(crate) const RANGE: i64 = 5000;
/// How often there is a look whether there is something to cut. Until then a page is found the slow way.
const INTERVAL: Duration = Duration::from_secs(30);

impl PostgresDatabase {
    /// Cuts ranges off what is larger than two of them, and answers how many. Each holds up those who write for some
    /// milliseconds. Of several who try at once one succeeds.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn cut_ranges(&self) -> Result<u32, Error> {
        let limit = self.limit(1);
        let mut ranges = 0;
        // Not within the measures and traces of what requests do.
        while timeout(limit, self.cut_range()).await.unwrap_or(Err(DbError::Silence(limit))).map_err(db_error::from)? {
            ranges += 1;
        }
        Ok(ranges)
    }

    async fn cut_range(&self) -> Result<bool, DbError> {
        let rows = self.lease().await?.query("SELECT fechar_faixa($1::bigint::integer)", &[&RANGE]).await?;
        let cut = rows.first().map_or(Ok(false), |row| row.try_get(0));
        Ok(cut?)
    }

    /// Cuts ranges for ever, as [`cut_ranges`](Self::cut_ranges) does, each time on a connection of its own: those of
    /// the pool are for requests.
    pub async fn keep_cutting_ranges(config: Config) {
        let config = config.max_connections(1);
        loop {
            match Self::connect(config.clone()).await {
                Ok(database) => {
                    match database.cut_ranges().await {
                        Ok(0) => {}
                        Ok(ranges) => tracing::info!(ranges, "cut the list of atividades into more ranges"),
                        Err(error) => tracing::warn!(%error, "cannot cut the list of atividades into ranges"),
                    }
                    database.close().await;
                }
                Err(error) => tracing::debug!(%error, "no connection to cut ranges"),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}
