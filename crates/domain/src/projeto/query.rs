//! Listing projetos.

use uuid::Uuid;

use crate::paging::{Listable, SortKey};
use crate::{NomeProjeto, Projeto, Query};

/// One page of projetos in the order of their names. Case and accents count only between names that differ in nothing
/// else. Equal names are ordered by id.
pub type ProjetoQuery = Query<Projeto>;

impl SortKey for NomeProjeto {
    fn to_text(&self) -> (char, String) {
        ('n', self.as_str().to_owned())
    }

    fn from_text(campo: char, value: &str) -> Option<Self> {
        if campo == 'n' { Self::from_stored(value).ok() } else { None }
    }
}

impl Listable for Projeto {
    type Filtro = ();
    type Ordem = ();
    type SortKey = NomeProjeto;

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn sort_key(&self, (): Self::Ordem) -> NomeProjeto {
        self.nome.clone()
    }

    fn text_bytes(&self) -> usize {
        let Self { nome, descricao, url, estado, .. } = self;
        let descricao = descricao.as_ref().map_or(0, |descricao| descricao.as_str().len());
        let others = [url, estado].into_iter().flatten().map(String::len).sum::<usize>();
        nome.as_str().len() + descricao + others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::projeto;
    use crate::{Cursor, Descricao};

    #[test]
    fn cursor_from_its_text_is_equal() {
        let cursor = Cursor::of(&projeto("Ação 🦀 %"), ());
        assert_eq!(Cursor::parse(&cursor.to_text()), Ok(cursor.clone()));
        assert!(Cursor::<NomeProjeto>::parse(&cursor.to_text().replacen('n', "c", 1)).is_err());
    }

    #[test]
    fn text_bytes_counts_every_text() {
        let mut row = projeto("Abc");
        row.descricao = Some(Descricao::parse("é".to_owned()).unwrap());
        (row.url, row.estado) = (Some("1234".to_owned()), Some("12345".to_owned()));
        assert_eq!(row.text_bytes(), 3 + 2 + 4 + 5);
    }
}
