//! Listing atividades.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::paging::{Listable, SortKey, instant_from_text, instant_to_text};
use crate::{Atividade, Busca, Ordem, ProjetoRef, Query};

/// One page of atividades.
pub type AtividadeQuery = Query<Atividade>;

impl AtividadeQuery {
    /// Returns whether the duration grows with the number of atividades, because the query compares every name with a
    /// text or reads many rows to skip them.
    #[must_use]
    pub const fn is_search(&self) -> bool {
        self.filtro.texto.is_some() || self.skip.is_deep()
    }
}

/// The conditions of a list of atividades. An item meets all that are present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtividadeFiltro {
    /// Only active or only inactive atividades.
    pub ativo: Option<bool>,
    /// Only atividades that belong to this projeto; none if it does not exist.
    pub projeto: Option<ProjetoRef>,
    /// Only atividades with this text in their name.
    pub texto: Option<Busca>,
}

/// The fields by which a list of atividades can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtividadeCampo {
    /// The time of creation.
    CriadoEm,
    /// The time of the last change.
    AtualizadoEm,
    /// The name, as [`search_key`](crate::search_key) returns it.
    Nome,
}

impl Default for Ordem<AtividadeCampo> {
    /// Newest first.
    fn default() -> Self {
        Self { campo: AtividadeCampo::CriadoEm, decrescente: true }
    }
}

/// The value by which an atividade is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtividadeSortKey {
    /// In the order of [`AtividadeCampo::CriadoEm`].
    CriadoEm(OffsetDateTime),
    /// In the order of [`AtividadeCampo::AtualizadoEm`].
    AtualizadoEm(OffsetDateTime),
    /// In the order of [`AtividadeCampo::Nome`].
    Nome(String),
}

impl AtividadeSortKey {
    /// Returns the field to which the value belongs.
    #[must_use]
    pub const fn campo(&self) -> AtividadeCampo {
        match self {
            Self::CriadoEm(_) => AtividadeCampo::CriadoEm,
            Self::AtualizadoEm(_) => AtividadeCampo::AtualizadoEm,
            Self::Nome(_) => AtividadeCampo::Nome,
        }
    }
}

impl SortKey for AtividadeSortKey {
    fn to_text(&self) -> (char, String) {
        match self {
            Self::CriadoEm(em) => ('c', instant_to_text(*em)),
            Self::AtualizadoEm(em) => ('a', instant_to_text(*em)),
            Self::Nome(nome) => ('n', nome.clone()),
        }
    }

    fn from_text(campo: char, value: &str) -> Option<Self> {
        match campo {
            'c' => instant_from_text(value).map(Self::CriadoEm),
            'a' => instant_from_text(value).map(Self::AtualizadoEm),
            'n' if !value.contains('\0') => Some(Self::Nome(value.to_owned())),
            _ => None,
        }
    }
}

impl Listable for Atividade {
    type Filtro = AtividadeFiltro;
    type Ordem = Ordem<AtividadeCampo>;
    type SortKey = AtividadeSortKey;

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn sort_key(&self, ordem: Self::Ordem) -> AtividadeSortKey {
        match ordem.campo {
            AtividadeCampo::CriadoEm => AtividadeSortKey::CriadoEm(self.criado_em),
            AtividadeCampo::AtualizadoEm => AtividadeSortKey::AtualizadoEm(self.atualizado_em),
            AtividadeCampo::Nome => AtividadeSortKey::Nome(self.nome.as_str().to_owned()),
        }
    }

    fn text_bytes(&self) -> usize {
        let Self { nome, descricao, nome_projeto, outros_projetos, criado_por, .. } = self;
        let descricao = descricao.as_ref().map_or(0, |descricao| descricao.as_str().len());
        let criado_por = criado_por.as_ref().map_or(0, String::len);
        let outros: usize = outros_projetos.iter().map(|projeto| projeto.nome.as_str().len()).sum();
        nome.as_str().len() + descricao + nome_projeto.as_str().len() + outros + criado_por
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{atividade, projeto_da_atividade};
    use crate::{Cursor, Descricao, Violation};

    type AtividadeCursor = Cursor<AtividadeSortKey>;

    fn cursor(nome: &str, campo: AtividadeCampo) -> AtividadeCursor {
        Cursor::of(&atividade(nome), Ordem { campo, decrescente: false })
    }

    #[test]
    fn cursor_from_its_text_is_equal() {
        for campo in [AtividadeCampo::CriadoEm, AtividadeCampo::AtualizadoEm, AtividadeCampo::Nome] {
            let cursor = cursor("Ação 🦀 %", campo);
            assert_eq!(Cursor::parse(&cursor.to_text()), Ok(cursor.clone()));
            assert_eq!(cursor.key.campo(), campo);
        }
    }

    #[test]
    fn cursor_from_another_text_is_rejected() {
        let good = cursor("A", AtividadeCampo::CriadoEm).to_text();
        let cases = ["", "c", "x", "ção", &good[1..], &good[..20], &format!("{good}x"), &format!("x{}", &good[1..])];
        let far = format!("{}{}", &good[..33], i64::MAX);
        for text in cases.into_iter().chain([far.as_str(), &good.replace("0194", "zzzz")]) {
            assert_eq!(AtividadeCursor::parse(text), Err(Violation::NotACursor), "{text:?}");
        }
    }

    #[test]
    fn text_bytes_counts_every_text() {
        let mut row = atividade("Abc");
        row.descricao = Some(Descricao::parse("é".to_owned()).unwrap());
        row.criado_por = Some("1234".to_owned());
        row.outros_projetos = vec![projeto_da_atividade(2, "12345"), projeto_da_atividade(3, "123456")];
        assert_eq!(row.text_bytes(), 3 + 2 + 4 + 5 + 6 + row.nome_projeto.as_str().len());
    }
}
