//! Listing atividades: which, in which order, and from where on.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Atividade, AtividadeId, Limit, ProjetoRef, Skip, Violation};

/// Which atividades to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtividadeQuery {
    /// Which of them match.
    pub filtro: Filtro,
    /// In which order.
    pub ordem: Ordem,
    /// Only those that come after this one.
    pub apos: Option<Cursor>,
    /// Only those that come before this one, and itself.
    pub ate: Option<Cursor>,
    /// How many matches to pass over.
    pub skip: Skip,
    /// How many to answer at most.
    pub limit: Limit,
}

impl AtividadeQuery {
    /// A page that passes over more rows than this reads for long.
    const DEEP_SKIP: i64 = 10_000;

    /// Whether the time that it takes grows with the number of atividades: a text is searched for in every name, and rows
    /// that are passed over are read.
    #[must_use]
    pub const fn is_search(&self) -> bool {
        self.filtro.texto.is_some() || Self::DEEP_SKIP <= self.skip.get()
    }
}

/// Which atividades match: those that fulfil all that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filtro {
    /// Only the active ones, or only the others.
    pub ativo: Option<bool>,
    /// Only those of one projeto; a projeto that does not exist has none.
    pub projeto: Option<ProjetoRef>,
    /// Only those whose name has this in it.
    pub texto: Option<Busca>,
}

/// A text to look for in names: case and accents do not count, and no character has a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busca(String);

impl Busca {
    /// The longest text, in Unicode scalar values: no name is longer.
    pub const MAX: usize = 255;

    /// Answers `text` as something to look for; an empty one is in every name.
    ///
    /// # Errors
    /// [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn parse(text: &str) -> Result<Self, Violation> {
        match text.chars().count() {
            n if Self::MAX < n => Err(Violation::TooLong { max: Self::MAX }),
            _ if text.contains('\0') => Err(Violation::ContainsNul),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The order of a list. What is equal in it is ordered by `id`, in the same direction, so that pages never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordem {
    /// By what.
    pub campo: Campo,
    /// Whether the largest comes first.
    pub decrescente: bool,
}

/// What a list can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Campo {
    /// When it was created.
    CriadoEm,
    /// When it last changed.
    AtualizadoEm,
    /// The name, as [`folded`](crate::folded) makes it.
    Nome,
}

impl Default for Ordem {
    /// The newest first.
    fn default() -> Self {
        Self { campo: Campo::CriadoEm, decrescente: true }
    }
}

/// An atividade in a list, from which on the next page follows, whether it still exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its place in the order.
    pub chave: Chave,
    /// Its id, which breaks ties.
    pub id: AtividadeId,
}

/// A place in one of the orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chave {
    /// In [`Campo::CriadoEm`].
    CriadoEm(OffsetDateTime),
    /// In [`Campo::AtualizadoEm`].
    AtualizadoEm(OffsetDateTime),
    /// In [`Campo::Nome`].
    Nome(String),
}

impl Chave {
    /// What it is a place in.
    #[must_use]
    pub const fn campo(&self) -> Campo {
        match self {
            Self::CriadoEm(_) => Campo::CriadoEm,
            Self::AtualizadoEm(_) => Campo::AtualizadoEm,
            Self::Nome(_) => Campo::Nome,
        }
    }
}

impl Cursor {
    /// The place of `atividade` in the order of `campo`.
    #[must_use]
    pub fn of(atividade: &Atividade, campo: Campo) -> Self {
        let chave = match campo {
            Campo::CriadoEm => Chave::CriadoEm(atividade.criado_em),
            Campo::AtualizadoEm => Chave::AtualizadoEm(atividade.atualizado_em),
            Campo::Nome => Chave::Nome(atividade.nome.as_str().to_owned()),
        };
        Self { chave, id: atividade.id }
    }

    /// The cursor as text that means nothing to a reader.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (campo, chave) = match &self.chave {
            Chave::CriadoEm(em) => ('c', microseconds(*em).to_string()),
            Chave::AtualizadoEm(em) => ('a', microseconds(*em).to_string()),
            Chave::Nome(nome) => ('n', nome.clone()),
        };
        format!("{campo}{}{chave}", self.id.0.simple())
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// [`Violation::NotACursor`] for every other text.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        Self::read(text).ok_or(Violation::NotACursor)
    }

    fn read(text: &str) -> Option<Self> {
        let (id, chave) = text.get(1..33).zip(text.get(33..))?;
        let instante = || {
            let nanoseconds = chave.parse::<i64>().ok().map(|micros| i128::from(micros) * 1000)?;
            // Databases know no years as far back as a client can write them.
            OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().filter(|em| 0 <= em.year())
        };
        let chave = match text.chars().next()? {
            'c' => Chave::CriadoEm(instante()?),
            'a' => Chave::AtualizadoEm(instante()?),
            'n' if !chave.contains('\0') => Chave::Nome(chave.to_owned()),
            _ => return None,
        };
        Some(Self { chave, id: AtividadeId(Uuid::try_parse(id).ok()?) })
    }
}

fn microseconds(em: OffsetDateTime) -> i128 {
    em.unix_timestamp_nanos() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::atividade;

    #[test]
    fn a_busca_is_as_long_as_a_name_at_most() {
        assert_eq!(Busca::parse(" AÇÃO %_").unwrap().as_str(), " AÇÃO %_");
        assert!(Busca::parse(&"é".repeat(255)).is_ok());
        assert_eq!(Busca::parse(&"a".repeat(256)), Err(Violation::TooLong { max: 255 }));
        assert_eq!(Busca::parse("a\0"), Err(Violation::ContainsNul));
    }

    #[test]
    fn a_cursor_survives_its_text() {
        for campo in [Campo::CriadoEm, Campo::AtualizadoEm, Campo::Nome] {
            let cursor = Cursor::of(&atividade("Ação 🦀 %"), campo);
            assert_eq!(Cursor::parse(&cursor.to_text()), Ok(cursor.clone()));
            assert_eq!(cursor.chave.campo(), campo);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let good = Cursor::of(&atividade("A"), Campo::CriadoEm).to_text();
        let cases = ["", "c", "x", "ção", &good[1..], &good[..20], &format!("{good}x"), &format!("x{}", &good[1..])];
        let far = format!("{}{}", &good[..33], i64::MAX);
        for text in cases.into_iter().chain([far.as_str(), &good.replace("0194", "zzzz")]) {
            assert_eq!(Cursor::parse(text), Err(Violation::NotACursor), "{text:?}");
        }
    }
}
