//! Table `idempotencia`: keys of requests that count once, each with its response.

use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotencia")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) usuario: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) chave: String,
    pub(crate) pedido: Vec<u8>,
    pub(crate) resposta: Option<Json>,
    pub(crate) criado_em: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
