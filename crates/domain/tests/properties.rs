//! Property tests of values and cursors.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use domain::Violation;
use domain::{
    AtividadeCampo, AtividadeSortKey, Busca, Cursor, Descricao, Limit, NomeAtividade, NomeProjeto, Skip, search_key,
};
use proptest::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

fn nome() -> impl Strategy<Value = String> {
    prop_oneof![".*", "\\PC{250,260}", "[ \\t\\u{3000}\\u{a0}a]{0,6}", "a\\u{0}?b"]
}

/// Returns whether a text has a control character other than tabs and line breaks.
fn is_control(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c))
}

proptest! {
    #[test]
    fn name_parsed_twice_is_equal(text in nome()) {
        let expected = text.trim();
        match NomeAtividade::parse(&text) {
            Ok(nome) => {
                prop_assert_eq!(nome.as_str(), expected);
                prop_assert!((1..=255).contains(&nome.as_str().chars().count()) && !nome.as_str().contains('\0'));
                prop_assert_eq!(NomeAtividade::parse(nome.as_str()).unwrap(), nome.clone());
                prop_assert_eq!(nome.into_string(), expected);
                prop_assert_eq!(NomeProjeto::parse(&text).unwrap().into_string(), expected);
            }
            Err(Violation::TooShort { .. }) => prop_assert!(expected.is_empty()),
            Err(Violation::TooLong { .. }) => prop_assert!(255 < expected.chars().count()),
            Err(Violation::ContainsNul) => prop_assert!(expected.contains('\0')),
            Err(Violation::ControlCharacter) => {
                prop_assert!(is_control(expected));
                prop_assert_eq!(NomeAtividade::from_stored(&text).unwrap().into_string(), expected);
                prop_assert_eq!(NomeProjeto::from_stored(&text).unwrap().into_string(), expected);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(NomeProjeto::parse(&text).is_ok(), NomeAtividade::parse(&text).is_ok());
    }

    #[test]
    fn description_is_stored_unchanged_or_rejected(text in any::<String>(), times in 0_usize..2000) {
        let text = text.repeat(times);
        let is_good = text.len() <= Descricao::MAX_BYTES && !is_control(&text);
        prop_assert_eq!(Descricao::parse(text.clone()).map(Descricao::into_string).ok(), is_good.then_some(text));
    }

    #[test]
    fn search_key_twice_is_equal(text in any::<String>()) {
        prop_assert_eq!(search_key(&search_key(&text)), search_key(&text));
        prop_assert_eq!(search_key(&text.to_lowercase()), search_key(&search_key(&text.to_lowercase())));
    }

    #[test]
    fn limit_and_skip_out_of_bounds_are_rejected(n in prop_oneof![any::<i64>(), -2_i64..3, 998_i64..1003]) {
        prop_assert_eq!(Limit::parse(n).is_ok(), (1..=1000).contains(&n));
        prop_assert_eq!(Skip::parse(n).is_ok(), 0 <= n);
    }

    #[test]
    fn cursor_from_its_text_is_equal(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999, nome in nome(), id in any::<u128>()) {
        let em = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap();
        let id = Uuid::from_u128(id);
        for (campo, key) in [(AtividadeCampo::CriadoEm, AtividadeSortKey::CriadoEm(em)), (AtividadeCampo::AtualizadoEm, AtividadeSortKey::AtualizadoEm(em)), (AtividadeCampo::Nome, AtividadeSortKey::Nome(nome.clone()))] {
            let cursor = Cursor { key, id };
            let read = Cursor::parse(&cursor.to_text());
            // No atividade has a name with NUL, so such a cursor is rejected.
            let is_possible = campo != AtividadeCampo::Nome || !nome.contains('\0');
            prop_assert_eq!(read.ok(), is_possible.then_some(cursor));
        }
    }

    #[test]
    fn cursor_from_any_text_has_a_time_that_every_database_supports(text in "[can][0-9a-f]{32}-?[0-9]{1,19}|\\PC*") {
        if let Ok(Cursor { key: AtividadeSortKey::CriadoEm(em) | AtividadeSortKey::AtualizadoEm(em), .. }) = Cursor::parse(&text) {
            prop_assert!((0..=9999).contains(&em.year()), "{em}");
        }
        prop_assert_eq!(Busca::parse(&text).is_ok(), text.chars().count() <= Busca::MAX && !text.contains('\0'));
    }
}
