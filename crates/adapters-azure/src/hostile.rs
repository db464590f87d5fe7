//! Whatever an answer says, nobody passes by it who is not proven, and nothing of it breaks our rules. Begins with the
//! answers in `corpus` and goes on with what is made of them; `PROPTEST_CASES` says for how long.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

use crate::acceptance::{is_somebody, of_organisation, of_profile};
use crate::payload::{ConnectionData, Page, Profile, Project, project_id, read, type_key};

fn answers() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<_> = include_str!("../corpus/answers.txt").lines().collect();
    let entry = move || select(lines.clone()).prop_map(|line| line.as_bytes().to_vec());
    let cut = (entry(), entry(), any::<Index>(), any::<Index>())
        .prop_map(|(a, b, i, j)| [a.split_at(i.index(a.len() + 1)).0, b.split_at(j.index(b.len() + 1)).1].concat());
    let changed = (entry(), any::<Index>(), any::<Vec<u8>>()).prop_map(|(mut entry, at, with)| {
        let at = at.index(entry.len() + 1);
        entry.splice(at..entry.len().min(at + with.len()), with);
        entry
    });
    let id = "\\{?[0a-]{36}\\}?|[0a]{32}|.*";
    let identity = (id, id).prop_map(|(one, other)| {
        serde_json::json!({"authenticatedUser": {"id": one}, "authorizedUser": {"id": other}}).to_string().into_bytes()
    });
    prop_oneof![entry(), cut, changed, identity, any::<Vec<u8>>()]
}

proptest! {
    #[test]
    fn only_a_real_identity_passes(answer in answers()) {
        let by_organisation = read::<ConnectionData>(&answer).and_then(of_organisation);
        let by_profile = read::<Profile>(&answer).and_then(of_profile);
        for usuario in [by_organisation, by_profile].into_iter().flatten() {
            let id = Uuid::parse_str(&usuario.id).unwrap();
            prop_assert!(is_somebody(id) && id.to_string() != "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" && !id.is_nil());
            prop_assert!(!usuario.display_name.trim().is_empty());
            prop_assert!(usuario.email.is_none_or(|email| email.contains('@') && email.chars().count() <= 255));
        }
    }

    #[test]
    fn projects_are_ours_in_shape_or_none(answer in answers()) {
        if let Ok(page) = read::<Page>(&answer) {
            for raw in page.value {
                let _ = project_id(&raw);
                if let Ok(projeto) = read::<Project>(raw.get().as_bytes()).and_then(Project::into_domain) {
                    prop_assert!((1..=255).contains(&projeto.nome.as_str().chars().count()));
                    prop_assert!(projeto.descricao.is_none_or(|descricao| descricao.as_str().len() <= 64 * 1024));
                }
            }
        }
        prop_assert!(type_key(&answer).is_none_or(|key| key.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}
