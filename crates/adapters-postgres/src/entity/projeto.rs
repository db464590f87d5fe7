//! Table `projetos`.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A row; with the key of a request that created it, it is kept as JSON too.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "projetos")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) nome: String,
    pub(crate) descricao: Option<String>,
    pub(crate) azure_project_id: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) estado: Option<String>,
    pub(crate) sincronizado_em: Option<OffsetDateTime>,
    pub(crate) criado_em: OffsetDateTime,
    pub(crate) atualizado_em: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(has_many = "super::atividade::Entity")]
    Atividades,
}

impl Related<super::atividade::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Atividades.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
