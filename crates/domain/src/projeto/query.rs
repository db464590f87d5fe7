//! Listing projetos.

use crate::{Limit, NomeProjeto, Projeto, ProjetoId};

/// Which projetos to list, in the order of their names: case and accents do not count, unless names differ in nothing
/// else; equal names are ordered by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoQuery {
    /// Only those that come after this one.
    pub apos: Option<ProjetoCursor>,
    /// How many to return at most.
    pub limit: Limit,
}

impl Default for ProjetoQuery {
    /// From the first one on, as many as a page can have.
    fn default() -> Self {
        Self { apos: None, limit: Limit::LARGEST }
    }
}

/// A place in the list of projetos, whether the projeto still exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoCursor {
    /// The name.
    pub nome: NomeProjeto,
    /// The id, which breaks ties.
    pub id: ProjetoId,
}

impl ProjetoCursor {
    /// Returns the place of `projeto`.
    #[must_use]
    pub fn of(projeto: &Projeto) -> Self {
        Self { nome: projeto.nome.clone(), id: projeto.id }
    }
}
