//! Table `atividades`. Its generated column `nome_busca` is PostgreSQL's own: only [`crate::listing`] reads it.

use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "atividades")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) nome: String,
    pub(crate) descricao: Option<String>,
    pub(crate) ativo: bool,
    pub(crate) id_projeto: Uuid,
    pub(crate) criado_por: Option<String>,
    pub(crate) criado_em: OffsetDateTime,
    pub(crate) atualizado_em: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(belongs_to = "super::projeto::Entity", from = "Column::IdProjeto", to = "super::projeto::Column::Id")]
    Projeto,
    #[sea_orm(has_many = "super::atividade_projeto::Entity")]
    OutrosProjetos,
}

impl Related<super::projeto::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Projeto.def()
    }
}

impl Related<super::atividade_projeto::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::OutrosProjetos.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
