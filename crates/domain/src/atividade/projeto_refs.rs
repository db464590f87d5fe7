//! The projetos of an atividade in a request.

use std::collections::HashSet;

use crate::{InvalidField, ProjetoRef, Violation};

/// The field of a single projeto.
const SINGLE: &str = "id_projeto";
/// The field of several projetos.
const LIST: &str = "ids_projetos";

/// The projetos to which an atividade shall belong: 1..=100 different ones, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoRefs {
    first: ProjetoRef,
    others: Vec<ProjetoRef>,
    field: &'static str,
}

/// The single projeto of a request that names no list.
impl From<ProjetoRef> for ProjetoRefs {
    fn from(first: ProjetoRef) -> Self {
        Self { first, others: Vec::new(), field: SINGLE }
    }
}

impl ProjetoRefs {
    /// The smallest number.
    pub const MIN: usize = 1;
    /// The largest number.
    pub const MAX: usize = 100;

    /// Parses a list.
    ///
    /// # Errors
    /// [`Violation::TooFew`] or [`Violation::TooMany`] for the list; [`Violation::Repeated`] with the index of each item
    /// that equals an earlier one.
    pub fn parse(ids: Vec<ProjetoRef>) -> Result<Self, Vec<(Option<usize>, Violation)>> {
        if Self::MAX < ids.len() {
            return Err(vec![(None, Violation::TooMany { max: Self::MAX })]);
        }
        let mut seen = HashSet::new();
        let repeated: Vec<_> = ids.iter().enumerate().filter(|(_, id)| !seen.insert(**id)).collect();
        if !repeated.is_empty() {
            return Err(repeated.into_iter().map(|(index, _)| (Some(index), Violation::Repeated)).collect());
        }
        let mut ids = ids.into_iter();
        let first = ids.next().ok_or_else(|| vec![(None, Violation::TooFew { min: Self::MIN })])?;
        Ok(Self { first, others: ids.collect(), field: LIST })
    }

    /// The first one.
    #[must_use]
    pub const fn first(&self) -> ProjetoRef {
        self.first
    }

    /// The ones after the first, in order.
    #[must_use]
    pub fn others(&self) -> &[ProjetoRef] {
        &self.others
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = ProjetoRef> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Returns an entry for each one that does not exist, with the field of the request that names it.
    pub fn unknown(&self, exists: impl Fn(ProjetoRef) -> bool) -> Vec<InvalidField> {
        let unknown = self.iter().enumerate().filter(|(_, id)| !exists(*id));
        unknown.map(|(index, _)| self.invalid(index)).collect()
    }

    fn invalid(&self, index: usize) -> InvalidField {
        let index = (self.field == LIST).then_some(index);
        InvalidField { item: None, field: self.field, index, violation: Violation::UnknownProjeto }
    }

    /// Returns the one that an entry of [`Self::unknown`] names.
    pub(crate) fn named_by(&self, field: &InvalidField) -> Option<ProjetoRef> {
        self.iter().nth(field.index.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn refs(ids: impl IntoIterator<Item = u128>) -> Vec<ProjetoRef> {
        ids.into_iter().map(|id| ProjetoRef(Uuid::from_u128(id))).collect()
    }

    #[test]
    fn parse_accepts_1_to_100_different_ids_in_order() {
        for ids in [refs([7]), refs([3, 1, 2]), refs(1..=100)] {
            assert!(ProjetoRefs::parse(ids.clone()).unwrap().iter().eq(ids));
        }
        assert_eq!(ProjetoRefs::parse(vec![]), Err(vec![(None, Violation::TooFew { min: 1 })]));
        assert_eq!(ProjetoRefs::parse(refs(0..101)), Err(vec![(None, Violation::TooMany { max: 100 })]));
    }

    #[test]
    fn parse_names_every_repeated_item() {
        let repeated = |index| (Some(index), Violation::Repeated);
        assert_eq!(ProjetoRefs::parse(refs([1, 2, 1, 3, 2, 1])), Err(vec![repeated(2), repeated(4), repeated(5)]));
    }

    #[test]
    fn unknown_names_the_field_of_the_request() {
        let of = |field, index| InvalidField { item: None, field, index, violation: Violation::UnknownProjeto };
        let list = ProjetoRefs::parse(refs([1, 2, 3])).unwrap();
        let single = ProjetoRefs::from(refs([1])[0]);
        let is_two = |id: ProjetoRef| id.0.as_u128() == 2;

        assert_eq!(list.unknown(is_two), [of("ids_projetos", Some(0)), of("ids_projetos", Some(2))]);
        assert_eq!(single.unknown(is_two), [of("id_projeto", None)]);
        assert_eq!(list.unknown(|_| true), []);
        let named = |all: &ProjetoRefs| -> Vec<_> {
            all.unknown(is_two).iter().map(|field| all.named_by(field).unwrap()).collect()
        };
        assert_eq!((named(&list), named(&single)), (refs([1, 3]), refs([1])));
    }
}
