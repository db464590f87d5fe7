//! The schema of the PostgreSQL database, as steps that were taken one after the other.
//!
//! A step is never edited once it is merged; what has to change is a new step. Tables carry no schema's name: the
//! connection's `search_path` decides whose they are. Every constraint is named by hand, because the adapter tells them
//! apart by their names.

use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m20260112_000001_create_projetos;
mod m20260112_000002_create_atividades;
mod m20260112_000003_create_idempotencia;
mod m20261123_000004_count_atividades;
mod m20261124_000005_count_one_quickly;
mod m20261126_000006_plain_schema;
mod m20261126_000007_order_projetos;
mod m20261127_000010_create_rotinas;
mod m20261127_000011_drop_ativo_index;
mod m20261127_000012_create_apontamentos;
mod m20261127_000013_create_atividade_projetos;
mod m20261127_000014_fold_final_sigma;
mod m20261127_000015_create_escritas;
mod m20261127_000018_add_verificado;
mod m20261127_000019_add_turns;

/// All steps, oldest first.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20260112_000001_create_projetos::Migration),
            Box::new(m20260112_000002_create_atividades::Migration),
            Box::new(m20260112_000003_create_idempotencia::Migration),
            Box::new(m20261123_000004_count_atividades::Migration),
            Box::new(m20261124_000005_count_one_quickly::Migration),
            Box::new(m20261126_000006_plain_schema::Migration),
            Box::new(m20261126_000007_order_projetos::Migration),
            Box::new(m20261127_000010_create_rotinas::Migration),
            Box::new(m20261127_000011_drop_ativo_index::Migration),
            Box::new(m20261127_000012_create_apontamentos::Migration),
            Box::new(m20261127_000013_create_atividade_projetos::Migration),
            Box::new(m20261127_000014_fold_final_sigma::Migration),
            Box::new(m20261127_000015_create_escritas::Migration),
            Box::new(m20261127_000018_add_verificado::Migration),
            Box::new(m20261127_000019_add_turns::Migration),
        ]
    }
}
