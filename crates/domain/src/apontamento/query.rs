//! Listing and summing time entries.

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{date_text, parse_date};
use crate::paging::{Listable, SortKey, instant_from_text, instant_to_text};
use crate::{
    Apontamento, AtividadeId, EscritaFiltro, NomeAtividade, NomeProjeto, ProjetoId, ProjetoRef, Query, WorkItemId,
    search_key,
};

/// One page of time entries: newest date first, then newest.
pub type ApontamentoQuery = Query<Apontamento>;

impl ApontamentoQuery {
    /// Returns whether reading may take long, because no index has all conditions or many rows are skipped.
    #[must_use]
    pub const fn is_search(&self) -> bool {
        self.filtro.is_search() || self.skip.is_deep()
    }
}

/// The conditions of a list of time entries. An item meets all that are present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApontamentoFiltro {
    /// Only entries of this day or later ones.
    pub de: Option<Date>,
    /// Only entries of this day or earlier ones.
    pub ate: Option<Date>,
    /// Only entries of this person.
    pub usuario: Option<UsuarioRef>,
    /// Only entries of this projeto; none if it does not exist.
    pub projeto: Option<ProjetoRef>,
    /// Only entries of this atividade; none if it does not exist.
    pub atividade: Option<AtividadeId>,
    /// Only entries of this work item.
    pub work_item: Option<WorkItemId>,
    /// Only entries whose work item is in this state.
    pub escrita: Option<EscritaFiltro>,
}

impl ApontamentoFiltro {
    /// Returns whether reading may take long, because no index has all conditions.
    #[must_use]
    pub const fn is_search(&self) -> bool {
        let Self { de: _, ate: _, usuario, projeto, atividade, work_item, escrita } = self;
        let conditions =
            usuario.is_some() as u8 + projeto.is_some() as u8 + atividade.is_some() as u8 + work_item.is_some() as u8;
        1 < conditions || escrita.is_some()
    }
}

/// A person as a request names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsuarioRef {
    /// By the id of their identity.
    Id(String),
    /// By their e-mail address, in any case.
    Email(String),
}

/// The position of a time entry: its date, then its time of creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApontamentoSortKey {
    /// The date.
    pub data: Date,
    /// The time of creation.
    pub criado_em: OffsetDateTime,
}

impl SortKey for ApontamentoSortKey {
    fn to_text(&self) -> (char, String) {
        ('d', format!("{}{}", date_text(self.data), instant_to_text(self.criado_em)))
    }

    fn from_text(campo: char, value: &str) -> Option<Self> {
        let (data, criado_em) = value.split_at_checked("AAAA-MM-DD".len())?;
        let (data, criado_em) = (parse_date(data).ok()?, instant_from_text(criado_em)?);
        (campo == 'd').then_some(Self { data, criado_em })
    }
}

impl Listable for Apontamento {
    type Filtro = ApontamentoFiltro;
    type Ordem = ();
    type SortKey = ApontamentoSortKey;

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn sort_key(&self, (): Self::Ordem) -> ApontamentoSortKey {
        ApontamentoSortKey { data: self.data, criado_em: self.criado_em }
    }

    fn text_bytes(&self) -> usize {
        let Self { organizacao, comentario, nome_projeto, nome_atividade, usuario, work_item_visto, .. } = self;
        let comentario = comentario.as_ref().map_or(0, |comentario| comentario.as_str().len());
        let email = usuario.email.as_ref().map_or(0, String::len);
        let visto = work_item_visto.as_ref().map_or(0, |visto| visto.titulo.len() + visto.tipo.len());
        let nomes = nome_projeto.as_str().len() + nome_atividade.as_str().len() + usuario.display_name.len();
        organizacao.len() + comentario + nomes + usuario.id.len() + email + visto
    }
}

/// The number of time entries and the sum of their durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totais {
    /// The number of entries.
    pub apontamentos: u64,
    /// The sum in minutes.
    pub minutos: u64,
}

/// What a report of hours is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agrupamento {
    /// By projeto.
    Projeto,
    /// By atividade.
    Atividade,
    /// By person.
    Usuario,
    /// By work item.
    WorkItem,
    /// By day.
    Dia,
    /// By week (ISO 8601), named by its Monday.
    Semana,
    /// By month, named by its first day.
    Mes,
}

/// One value that a line of a report is grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chave {
    /// A projeto and its name.
    Projeto(ProjetoId, NomeProjeto),
    /// An atividade and its name.
    Atividade(AtividadeId, NomeAtividade),
    /// A person: id and one of the names in their entries, the last in the order of the database.
    Usuario(String, String),
    /// A work item and its last known title.
    WorkItem(WorkItemId, Option<String>),
    /// A day.
    Dia(Date),
    /// The Monday of a week.
    Semana(Date),
    /// The first day of a month.
    Mes(Date),
}

impl Chave {
    /// Returns what lines are ordered by: dates, or the name without case and accents, then the id. Each part ends with NUL,
    /// which no text has, so the parts of several keys can be joined.
    pub(super) fn order(&self) -> String {
        match self {
            Self::Projeto(id, nome) => format!("{}\0{}\0", search_key(nome.as_str()), id.0),
            Self::Atividade(id, nome) => format!("{}\0{}\0", search_key(nome.as_str()), id.0),
            Self::Usuario(id, nome) => format!("{}\0{id}\0", search_key(nome)),
            Self::WorkItem(id, _) => format!("{:010}\0", id.get()),
            Self::Dia(data) | Self::Semana(data) | Self::Mes(data) => date_text(*data),
        }
    }
}

/// A line of a report of hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinhaDeHoras {
    /// One value for each grouping of the report, in the same order.
    pub chaves: Vec<Chave>,
    /// The entries of the line.
    pub totais: Totais,
    /// The earliest date of them.
    pub primeira_data: Date,
    /// The latest date of them.
    pub ultima_data: Date,
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;
    use crate::testing::apontamento;
    use crate::{Comentario, Cursor, Skip, Violation, WorkItemVisto};

    #[test]
    fn cursor_from_its_text_is_equal_and_others_are_rejected() {
        let mut item = apontamento(90);
        item.data = date!(2024 - 02 - 29);
        item.criado_em = datetime!(2026-11-27 02:00:00.000001 UTC);
        let cursor = Cursor::of(&item, ());
        let text = cursor.to_text();

        assert_eq!(Cursor::parse(&text), Ok(cursor));
        let bad = [
            "",
            "d",
            &text[1..],
            &text[..40],
            &format!("{text}x"),
            &text.replacen('d', "c", 1),
            &text.replace("02-29", "02-30"),
        ];
        for text in bad {
            assert_eq!(Cursor::<ApontamentoSortKey>::parse(text), Err(Violation::NotACursor), "{text:?}");
        }
    }

    #[test]
    fn text_bytes_counts_every_text() {
        let mut row = apontamento(90);
        row.comentario = Some(Comentario::from_stored("é".to_owned()).unwrap());
        row.work_item_visto = Some(WorkItemVisto { titulo: "123".to_owned(), tipo: "12345".to_owned() });
        row.organizacao = "1234567".to_owned();
        let usuario = &row.usuario;
        let person = usuario.id.len() + usuario.display_name.len() + usuario.email.as_ref().unwrap().len();
        let nomes = row.nome_projeto.as_str().len() + row.nome_atividade.as_str().len();
        assert_eq!(row.text_bytes(), 2 + 3 + 5 + 7 + person + nomes);
    }

    #[test]
    fn only_conditions_of_several_indexes_are_a_search() {
        let by_user =
            ApontamentoFiltro { usuario: Some(UsuarioRef::Id("a".to_owned())), ..ApontamentoFiltro::default() };
        let week =
            ApontamentoFiltro { de: Some(date!(2026 - 11 - 23)), ate: Some(date!(2026 - 11 - 29)), ..by_user.clone() };
        let two = ApontamentoFiltro { projeto: Some(ProjetoRef(Uuid::nil())), ..by_user.clone() };
        let failed = ApontamentoFiltro { escrita: Some(EscritaFiltro::Erro), ..ApontamentoFiltro::default() };
        assert_eq!([by_user, week, two, failed].map(|filtro| filtro.is_search()), [false, false, true, true]);
        assert!(!ApontamentoFiltro::default().is_search());

        let skipping =
            |n| ApontamentoQuery { skip: Skip::parse(n).unwrap(), ..ApontamentoQuery::default() }.is_search();
        assert_eq!([skipping(9_999), skipping(10_000)], [false, true]);
    }
}
