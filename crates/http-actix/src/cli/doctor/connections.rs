//! Whether the server accepts the connections of all replicas.

use adapters_postgres::Diagnosis;

use super::report::Report;

/// A deploy runs the old and the new replicas at the same time.
const GENERATIONS: u32 = 2;
/// The connection of each replica for `/health`, beside its pool.
const HEALTH: u32 = 1;
/// What else connects: migrations, backups, the monitoring and an operator.
const OTHERS: u32 = 7;

/// The replicas of a deployment and the pool of each.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    pub replicas: u32,
    pub pool_size: u32,
}

impl Demand {
    /// The connections of all replicas during a deploy, and of others.
    const fn connections(self) -> u32 {
        self.replicas * GENERATIONS * (self.pool_size + HEALTH) + OTHERS
    }

    /// The largest pool for which all connections are among `usable` ones; none if even a pool of one is too large.
    fn max_pool_size(self, usable: u32) -> Option<u32> {
        let each = usable.saturating_sub(OTHERS) / (self.replicas * GENERATIONS);
        each.checked_sub(HEALTH).filter(|size| 0 < *size)
    }

    /// Returns what to set if the server does not accept all connections.
    fn check(self, max_connections: u32, reserved: u32) -> Result<String, String> {
        let Self { replicas, pool_size } = self;
        let (needed, usable) = (self.connections(), max_connections.saturating_sub(reserved));
        let sum = format!(
            "--replicas {replicas} and DATABASE_POOL_SIZE={pool_size} need up to {needed}, {usable} are available"
        );
        if needed <= usable {
            return Ok(sum);
        }
        let smaller = match self.max_pool_size(usable) {
            Some(size) => format!("DATABASE_POOL_SIZE to at most {size}"),
            None => "the number of replicas lower".to_owned(),
        };
        let larger = needed + reserved;
        Err(format!("{sum}: set {smaller}, or max_connections of PostgreSQL to at least {larger}"))
    }
}

/// Checks that the server accepts the connections of all replicas. Behind a pooler they are not connections of the server.
pub fn check(demand: Demand, diagnosis: &Diagnosis, report: &mut Report) {
    if diagnosis.is_behind_pooler {
        return report.note("connections", "not counted: the pooler limits those of the server");
    }
    match demand.check(diagnosis.max_connections, diagnosis.reserved_connections) {
        Ok(sum) => report.ok("connections", sum),
        Err(advice) => report.wrong("connections", advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_beyond_the_server_names_the_largest_pool() {
        // Replicas, pool, `max_connections`, reserved ones, and the advice.
        let cases = [
            (2, 10, 100, 3, None),
            // 4 × 2 × 11 + 7 = 95, and 5 × 2 × 11 + 7 = 117.
            (4, 10, 98, 3, None),
            (4, 10, 97, 3, Some("DATABASE_POOL_SIZE to at most 9, or max_connections of PostgreSQL to at least 98")),
            (5, 10, 100, 3, Some("DATABASE_POOL_SIZE to at most 8, or max_connections of PostgreSQL to at least 120")),
            (5, 10, 124, 7, None),
            (5, 10, 123, 7, Some("DATABASE_POOL_SIZE to at most 9, or max_connections of PostgreSQL to at least 124")),
            (22, 1, 100, 3, None),
            (23, 1, 100, 3, Some("the number of replicas lower, or max_connections of PostgreSQL to at least 102")),
            (
                999,
                1000,
                5,
                9,
                Some("the number of replicas lower, or max_connections of PostgreSQL to at least 2000014"),
            ),
        ];
        for (replicas, pool_size, max_connections, reserved, advice) in cases {
            let checked = Demand { replicas, pool_size }.check(max_connections, reserved);

            let found = checked.as_ref().err().and_then(|text| Some(text.split_once(": set ")?.1));
            assert_eq!(found, advice, "{replicas} × {pool_size} of {max_connections}: {checked:?}");
        }
    }

    #[test]
    fn advised_pool_fits_and_the_next_larger_one_does_not() {
        for (replicas, usable) in [(1, 11), (3, 97), (5, 97), (10, 97), (40, 500)] {
            let fits = |pool_size| Demand { replicas, pool_size }.check(usable, 0).is_ok();

            let size = Demand { replicas, pool_size: 1000 }.max_pool_size(usable).unwrap();

            assert!(fits(size) && !fits(size + 1), "{replicas} replicas, {usable} connections: {size}");
        }
    }
}
