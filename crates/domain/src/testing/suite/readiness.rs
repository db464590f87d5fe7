//! What a database that is there says of itself.

use super::Repositories;

/// A database that is there is ready.
pub async fn readiness_answers(db: &Repositories) {
    db.readiness.check().await.unwrap();
}
