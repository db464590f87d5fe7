//! Table `atividade_projetos`: the projetos of an atividade after the first.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "atividade_projetos")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id_atividade: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id_projeto: Uuid,
    /// The position in the list of all projetos, counted from 0.
    pub(crate) lugar: i16,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::atividade::Entity",
        from = "Column::IdAtividade",
        to = "super::atividade::Column::Id"
    )]
    Atividade,
    #[sea_orm(belongs_to = "super::projeto::Entity", from = "Column::IdProjeto", to = "super::projeto::Column::Id")]
    Projeto,
}

impl Related<super::atividade::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Atividade.def()
    }
}

impl Related<super::projeto::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Projeto.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
