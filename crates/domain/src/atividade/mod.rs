//! Atividades (activities): time is recorded on them.

mod projeto_refs;
mod query;
mod repository;
mod use_cases;

pub use projeto_refs::ProjetoRefs;
pub use query::{AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeSortKey};
pub use repository::AtividadeRepository;
pub use use_cases::Atividades;

#[cfg(any(test, feature = "mocks"))]
pub use repository::MockAtividadeRepository;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Descricao, NomeProjeto, Patch, ProjetoId, Usuario, Violation, text};

/// The id of a stored atividade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AtividadeId(pub Uuid);

impl AtividadeId {
    /// Returns a new id: UUID version 7 (RFC 9562), so ids created later sort later.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(crate::clock::new_uuid(now))
    }
}

/// The name of an atividade: 1..=255 characters, no NUL, no surrounding white space. A new name has no control
/// characters except tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NomeAtividade(String);

impl NomeAtividade {
    /// Parses a new name from `text`, without surrounding white space.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: impl Into<String>) -> Result<Self, Violation> {
        text::parse_nome(text.into()).map(Self)
    }

    /// Parses a name that was stored, possibly before control characters were rejected.
    ///
    /// # Errors
    /// [`Violation::TooShort`] without a visible character, [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn from_stored(text: impl Into<String>) -> Result<Self, Violation> {
        text::stored_nome(text.into()).map(Self)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A stored atividade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atividade {
    /// The id.
    pub id: AtividadeId,
    /// The name.
    pub nome: NomeAtividade,
    /// The description.
    pub descricao: Option<Descricao>,
    /// Whether time can be recorded on it.
    pub ativo: bool,
    /// The first projeto to which it belongs.
    pub id_projeto: ProjetoId,
    /// The current name of that projeto.
    pub nome_projeto: NomeProjeto,
    /// The other projetos to which it belongs, in order.
    pub outros_projetos: Vec<ProjetoDaAtividade>,
    /// The author: an e-mail address or, without one, an id. Rows of the earlier FastAPI service may have none.
    pub criado_por: Option<String>,
    /// The time of creation, UTC, to the microsecond.
    pub criado_em: OffsetDateTime,
    /// The time of the last change, UTC, to the microsecond.
    pub atualizado_em: OffsetDateTime,
}

/// A projeto of an atividade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoDaAtividade {
    /// The id.
    pub id: ProjetoId,
    /// The current name.
    pub nome: NomeProjeto,
}

/// The fields that a caller sends to create an atividade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovaAtividade {
    /// The name.
    pub nome: NomeAtividade,
    /// The description.
    pub descricao: Option<Descricao>,
    /// Whether time can be recorded on it.
    pub ativo: bool,
    /// The projetos to which it shall belong.
    pub projetos: ProjetoRefs,
}

/// A new atividade, complete for the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtividadeRecord {
    /// The id.
    pub id: AtividadeId,
    /// The name.
    pub nome: NomeAtividade,
    /// The description.
    pub descricao: Option<Descricao>,
    /// Whether time can be recorded on it.
    pub ativo: bool,
    /// The projetos to which it shall belong.
    pub projetos: ProjetoRefs,
    /// The author.
    pub criado_por: String,
    /// The value of both `criado_em` and `atualizado_em`.
    pub criado_em: OffsetDateTime,
}

impl AtividadeRecord {
    /// Completes `nova` with an id, its author and its time.
    #[must_use]
    pub fn new(nova: NovaAtividade, author: &Usuario, now: OffsetDateTime) -> Self {
        let NovaAtividade { nome, descricao, ativo, projetos } = nova;
        let criado_por = author.author().to_owned();
        Self { id: AtividadeId::new(now), nome, descricao, ativo, projetos, criado_por, criado_em: now }
    }
}

/// A partial update of an atividade. Absent fields do not change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtividadePatch {
    /// The new name.
    pub nome: Option<NomeAtividade>,
    /// The new description, or `Null` to clear it.
    pub descricao: Patch<Descricao>,
    /// Whether time can be recorded on it.
    pub ativo: Option<bool>,
    /// The projetos that replace the present ones.
    pub projetos: Option<ProjetoRefs>,
    /// The `atualizado_em` that the update requires.
    pub expected: Option<OffsetDateTime>,
}
