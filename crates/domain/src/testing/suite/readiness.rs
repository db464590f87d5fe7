//! The readiness check.

use super::Repositories;

/// A reachable database passes the check.
pub async fn readiness_of_reachable_database_is_ok(db: &Repositories) {
    db.readiness.check().await.unwrap();
}
