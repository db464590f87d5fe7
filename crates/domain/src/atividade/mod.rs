//! Activities: what hours are booked on.

mod query;
mod repository;
mod use_cases;

pub use query::{AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeSortKey};
pub use repository::AtividadeRepository;
pub use use_cases::Atividades;

#[cfg(any(test, feature = "mocks"))]
pub use repository::MockAtividadeRepository;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Descricao, NomeProjeto, Patch, ProjetoId, ProjetoRef, Usuario, Violation, text};

/// The id of an atividade that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AtividadeId(pub Uuid);

impl AtividadeId {
    /// A new id for something created at `now`: UUID version 7 (RFC 9562), so that ids made later sort later.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(crate::clock::new_uuid(now))
    }
}

/// The name people give an atividade: 1..=255 characters, no NUL, no surrounding white space. A new
/// one has no control characters but tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NomeAtividade(String);

impl NomeAtividade {
    /// Trims `text` and returns it as a new name.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: impl Into<String>) -> Result<Self, Violation> {
        text::parse_nome(text.into()).map(Self)
    }

    /// Returns `text`, which was stored, as a name. It may be older than the rule about control characters.
    ///
    /// # Errors
    /// [`Violation::TooShort`] when nothing is left, [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn from_stored(text: impl Into<String>) -> Result<Self, Violation> {
        text::stored_nome(text.into()).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// An atividade as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atividade {
    /// Its id.
    pub id: AtividadeId,
    /// Its name.
    pub nome: NomeAtividade,
    /// More about it.
    pub descricao: Option<Descricao>,
    /// Whether hours can be booked on it.
    pub ativo: bool,
    /// The projeto it belongs to.
    pub id_projeto: ProjetoId,
    /// The name of that projeto.
    pub nome_projeto: NomeProjeto,
    /// Who created it: an e-mail or, without one, an id. Rows older than this rule have none.
    pub criado_por: Option<String>,
    /// When it was created, UTC, to the microsecond.
    pub criado_em: OffsetDateTime,
    /// When it last changed, UTC, to the microsecond.
    pub atualizado_em: OffsetDateTime,
}

/// What a caller says about an atividade that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovaAtividade {
    /// Its name.
    pub nome: NomeAtividade,
    /// More about it.
    pub descricao: Option<Descricao>,
    /// Whether hours can be booked on it.
    pub ativo: bool,
    /// The projeto it is to belong to.
    pub projeto: ProjetoRef,
}

/// An atividade ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtividadeRecord {
    /// Its id.
    pub id: AtividadeId,
    /// Its name.
    pub nome: NomeAtividade,
    /// More about it.
    pub descricao: Option<Descricao>,
    /// Whether hours can be booked on it.
    pub ativo: bool,
    /// The projeto it is to belong to.
    pub projeto: ProjetoRef,
    /// Who creates it.
    pub criado_por: String,
    /// Now: it becomes `criado_em` and `atualizado_em`.
    pub criado_em: OffsetDateTime,
}

impl AtividadeRecord {
    /// The record of `nova`, created by `autor` at `now`.
    #[must_use]
    pub fn new(nova: NovaAtividade, autor: &Usuario, now: OffsetDateTime) -> Self {
        let NovaAtividade { nome, descricao, ativo, projeto } = nova;
        let criado_por = autor.autor().to_owned();
        Self { id: AtividadeId::new(now), nome, descricao, ativo, projeto, criado_por, criado_em: now }
    }
}

/// A partial update of an atividade: what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtividadePatch {
    /// A new name.
    pub nome: Option<NomeAtividade>,
    /// A new description, or none any more.
    pub descricao: Patch<Descricao>,
    /// Whether hours can be booked on it.
    pub ativo: Option<bool>,
    /// Another projeto.
    pub projeto: Option<ProjetoRef>,
    /// Only while `atualizado_em` still is this.
    pub expected: Option<OffsetDateTime>,
}
