//! Once kept totals by triggers. Databases that have them lose them by the step `plain_schema`; a new one never gets them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::m20261126_000006_plain_schema::drop_counting(manager).await
    }
}
