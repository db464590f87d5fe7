//! Apontamentos (time entries): the hours that a person spent on a work item, by atividade and day.

mod data;
mod minutos;
mod query;
mod refusal;
mod report;
mod repository;
mod use_cases;

pub use data::{date_text, monday_of, parse_date};
pub use minutos::{Minutos, hours_and_minutes, hundredths_of_hours};
pub use query::{
    Agrupamento, ApontamentoFiltro, ApontamentoQuery, ApontamentoSortKey, Chave, LinhaDeHoras, Totais, UsuarioRef,
};
pub use refusal::{Refusal, RefusalReason};
pub use report::{REPORT_BYTES, ReportBuilder};
pub use repository::ApontamentoRepository;
pub use use_cases::{Apontamentos, Gravado};

#[cfg(any(test, feature = "mocks"))]
pub use repository::MockApontamentoRepository;

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{
    AtividadeId, Escrita, NomeAtividade, NomeProjeto, Patch, ProjetoId, ProjetoRef, Usuario, Violation, WorkItemId,
    text,
};

/// The id of a stored time entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApontamentoId(pub Uuid);

impl ApontamentoId {
    /// Returns a new id: UUID version 7 (RFC 9562), so ids created later sort later.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self(crate::clock::new_uuid(now))
    }
}

/// A comment: 1..=500 characters, no NUL, stored exactly as sent. A new one has no control characters except tabs and line
/// breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comentario(String);

impl Comentario {
    /// The largest length in Unicode scalar values.
    pub const MAX: usize = 500;

    /// Parses a new comment. An empty text is no comment.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: String) -> Result<Option<Self>, Violation> {
        if text.is_empty() {
            return Ok(None);
        }
        let comentario = Self::from_stored(text)?;
        if text::has_control(&comentario.0) { Err(Violation::ControlCharacter) } else { Ok(Some(comentario)) }
    }

    /// Parses a stored comment.
    ///
    /// # Errors
    /// [`Violation::TooShort`], [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn from_stored(text: String) -> Result<Self, Violation> {
        match text.len() {
            0 => Err(Violation::TooShort { min: 1 }),
            n if Self::MAX < n && Self::MAX < text.chars().count() => Err(Violation::TooLong { max: Self::MAX }),
            _ if text.contains('\0') => Err(Violation::ContainsNul),
            _ => Ok(Self(text)),
        }
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

/// The name of an organisation as a request sends it: 1..=255 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organizacao(String);

impl Organizacao {
    /// Parses a name, without surrounding white space.
    ///
    /// # Errors
    /// Those of a new name.
    pub fn parse(text: impl Into<String>) -> Result<Self, Violation> {
        text::parse_nome(text.into()).map(Self)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns why a deployment that serves the organisation `served` refuses this one. Case does not matter; without an
    /// organisation, every name is taken.
    pub(crate) fn refusal(&self, served: Option<&str>) -> Option<RefusalReason> {
        let served = served.filter(|served| served.to_lowercase() != self.0.to_lowercase())?;
        Some(RefusalReason::OtherOrganisation { served: served.to_owned(), sent: self.0.clone() })
    }
}

/// A projeto as a request names it: by its id or, as old clients do, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjetoSelector {
    /// By id.
    Id(ProjetoRef),
    /// By name, in any case.
    Nome(NomeProjeto),
}

impl ProjetoSelector {
    /// Parses a UUID as an id, and any other text as a name.
    ///
    /// # Errors
    /// Those of a new name.
    pub fn parse(text: impl Into<String>) -> Result<Self, Violation> {
        let text = text.into();
        Uuid::parse_str(text.trim())
            .map_or_else(|_| NomeProjeto::parse(text).map(Self::Nome), |id| Ok(Self::Id(ProjetoRef(id))))
    }
}

/// The id or the name.
impl std::fmt::Display for ProjetoSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.0.fmt(f),
            Self::Nome(nome) => f.write_str(nome.as_str()),
        }
    }
}

/// The last state of a work item that was read from Azure DevOps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkItemVisto {
    /// The title.
    pub titulo: String,
    /// The type, for example `Task`.
    pub tipo: String,
}

/// A stored time entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apontamento {
    /// The id.
    pub id: ApontamentoId,
    /// The work item in Azure DevOps.
    pub work_item: WorkItemId,
    /// The last state of that work item, if it was ever read.
    pub work_item_visto: Option<WorkItemVisto>,
    /// The projeto.
    pub id_projeto: ProjetoId,
    /// The current name of that projeto.
    pub nome_projeto: NomeProjeto,
    /// The organisation to which the work item belongs.
    pub organizacao: String,
    /// The day of the work.
    pub data: Date,
    /// The duration.
    pub minutos: Minutos,
    /// The atividade.
    pub id_atividade: AtividadeId,
    /// The current name of that atividade.
    pub nome_atividade: NomeAtividade,
    /// The comment.
    pub comentario: Option<Comentario>,
    /// The person who did the work, as they were known when the entry was made.
    pub usuario: Usuario,
    /// Whether the hours of the work item are written in Azure DevOps.
    pub escrita: Escrita,
    /// The time of creation, UTC, to the microsecond.
    pub criado_em: OffsetDateTime,
    /// The time of the last change, UTC, to the microsecond.
    pub atualizado_em: OffsetDateTime,
}

/// The fields that a caller sends to make a time entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovoApontamento {
    /// The work item.
    pub work_item: WorkItemId,
    /// The projeto.
    pub projeto: ProjetoSelector,
    /// The organisation.
    pub organizacao: Organizacao,
    /// The day of the work.
    pub data: Date,
    /// The duration.
    pub minutos: Minutos,
    /// The atividade.
    pub atividade: AtividadeId,
    /// The comment.
    pub comentario: Option<Comentario>,
}

/// A new time entry, complete for the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApontamentoRecord {
    /// The id.
    pub id: ApontamentoId,
    /// The work item.
    pub work_item: WorkItemId,
    /// The work item as it was seen just now, which the repository remembers.
    pub work_item_visto: Option<WorkItemVisto>,
    /// Whether Azure DevOps showed the work item to the person. Without that, no hours are written to it.
    pub verificado: bool,
    /// The projeto.
    pub projeto: ProjetoRef,
    /// The organisation.
    pub organizacao: String,
    /// The day of the work.
    pub data: Date,
    /// The duration.
    pub minutos: Minutos,
    /// The atividade.
    pub atividade: AtividadeId,
    /// The comment.
    pub comentario: Option<Comentario>,
    /// The person who did the work.
    pub usuario: Usuario,
    /// The value of both `criado_em` and `atualizado_em`.
    pub criado_em: OffsetDateTime,
}

/// A partial update of a time entry. Absent fields do not change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApontamentoPatch {
    /// The new duration.
    pub minutos: Option<Minutos>,
    /// The new day.
    pub data: Option<Date>,
    /// The new comment, or `Null` to clear it.
    pub comentario: Patch<Comentario>,
    /// The new atividade.
    pub atividade: Option<AtividadeId>,
    /// The `atualizado_em` that the update requires.
    pub expected: Option<OffsetDateTime>,
}

impl ApontamentoPatch {
    /// Returns whether no field was sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { minutos, data, comentario, atividade, expected: _ } = self;
        minutos.is_none() && data.is_none() && comentario.is_absent() && atividade.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comentario_has_at_most_500_characters_and_an_empty_one_is_none() {
        let text = |text: &str| Comentario::parse(text.to_owned()).map(|text| text.map(Comentario::into_string));
        assert_eq!(text(""), Ok(None));
        assert_eq!(text("  "), Ok(Some("  ".to_owned())));
        assert_eq!(text(&"🦀".repeat(500)), Ok(Some("🦀".repeat(500))));
        assert_eq!(text(&"a".repeat(501)), Err(Violation::TooLong { max: 500 }));
        assert_eq!(text("a\0"), Err(Violation::ContainsNul));
        assert_eq!(text("a\u{1b}[31m"), Err(Violation::ControlCharacter));
        assert!(Comentario::from_stored("a\u{1b}".to_owned()).is_ok());
    }

    #[test]
    fn projeto_is_named_by_uuid_or_name() {
        let id = Uuid::from_u128(7);
        for text in [id.to_string(), format!(" {} ", id.to_string().to_uppercase()), id.braced().to_string()] {
            assert_eq!(ProjetoSelector::parse(text), Ok(ProjetoSelector::Id(ProjetoRef(id))));
        }
        let nome = |text: &str| Ok(ProjetoSelector::Nome(NomeProjeto::parse(text).unwrap()));
        assert_eq!(ProjetoSelector::parse(" Portal do Cliente "), nome("Portal do Cliente"));
        assert_eq!(ProjetoSelector::parse("123"), nome("123"));
        assert_eq!(ProjetoSelector::parse("  "), Err(Violation::TooShort { min: 1 }));
        assert_eq!(ProjetoSelector::parse("a".repeat(256)), Err(Violation::TooLong { max: 255 }));
    }

    #[test]
    fn patch_without_fields_is_empty() {
        assert!(
            ApontamentoPatch { expected: Some(OffsetDateTime::UNIX_EPOCH), ..ApontamentoPatch::default() }.is_empty()
        );
        assert!(!ApontamentoPatch { comentario: Patch::Null, ..ApontamentoPatch::default() }.is_empty());
    }
}
