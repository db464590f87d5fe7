//! What every repository promises: one check for each promise of the ports, for every database.
//!
//! The crate of an adapter runs them all in its tests, each on an empty database of its own:
//!
//! ```text
//! /// An empty database, and what must live as long as the test uses it.
//! async fn fresh() -> (domain::testing::suite::Repositories, Guard) { … }
//!
//! mod suite {
//!     domain::repository_suite!(super::fresh);
//! }
//! ```
//!
//! `cargo test -p adapters-sqlite suite` then runs the suite, `… suite::update` one chapter of it. A new promise is a
//! new function in a chapter and its name in the list of [`crate::repository_suite`].
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a check fails by a panic, as every test does"
)]

pub mod atividades;
pub mod atividades_list;
pub mod atividades_order;
pub mod atividades_update;
pub mod bulk;
pub mod pages;
pub mod projetos;
pub mod readiness;
pub mod sync;
pub mod versions;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{NOW, maria, nome_atividade, nome_projeto, nova_atividade};
use crate::{
    Atividade, AtividadeId, AtividadeRecord, AtividadeRepository, Projeto, ProjetoId, ProjetoRecord, ProjetoRef,
    ProjetoRepository, Readiness,
};

/// The ports of one empty database.
#[derive(Clone)]
pub struct Repositories {
    /// Its atividades.
    pub atividades: Arc<dyn AtividadeRepository>,
    /// Its projetos.
    pub projetos: Arc<dyn ProjetoRepository>,
    /// Whether it answers.
    pub readiness: Arc<dyn Readiness>,
}

/// One `#[tokio::test]` for each check of the [suite](crate::testing::suite). `$fresh` is an async function that
/// answers the [`Repositories`](crate::testing::suite::Repositories) of an empty database that nobody else uses, and a
/// value that is kept until the test has ended.
#[macro_export]
macro_rules! repository_suite {
    ($fresh:path) => {
        $crate::repository_suite!($fresh, atividades: [
            insert_answers_what_find_and_list_answer,
            insert_finds_the_name_of_an_azure_projeto,
            insert_refuses_an_unknown_projeto,
            find_answers_nothing_for_an_unknown_id,
            every_text_survives,
            every_time_survives_to_the_microsecond,
            delete_happens_once_and_spares_the_others,
            renaming_a_projeto_shows_in_its_atividades,
        ]);
        $crate::repository_suite!($fresh, atividades_list: [
            list_of_nothing_is_empty,
            list_is_newest_first_whatever_came_first,
            list_breaks_ties_by_id,
            pages_follow_each_other_without_gap_or_overlap,
            filters_hold_alone_and_together,
            a_page_beyond_the_end_is_empty_and_has_the_total,
        ]);
        $crate::repository_suite!($fresh, atividades_order: [
            each_order_holds_in_both_directions,
            cursors_lead_through_the_whole_list,
            a_cursor_outlives_its_atividade,
            names_are_found_without_case_and_accents,
            a_new_name_is_found_and_ordered_as_such,
        ]);
        $crate::repository_suite!($fresh, atividades_update: [
            each_field_changes_alone,
            all_fields_change_at_once,
            an_empty_descricao_is_not_none,
            an_unknown_projeto_is_refused_and_nothing_changes,
            update_answers_nothing_for_an_unknown_id,
            what_does_not_differ_is_not_written,
            a_clock_behind_still_moves_atualizado_em_on,
            updates_side_by_side_lose_nothing,
        ]);
        $crate::repository_suite!($fresh, bulk: [
            insert_all_answers_each_as_it_is_kept,
            every_character_can_begin_and_end_a_name,
            insert_all_stores_all_or_none,
            a_request_that_comes_again_is_answered_as_before,
            a_key_stands_for_one_request_of_one_user,
            a_key_is_forgotten_after_its_lifetime,
            a_request_that_comes_at_once_happens_once,
            a_projeto_is_created_once,
        ]);
        $crate::repository_suite!($fresh, pages: [
            a_page_is_cut_at_its_bytes_and_its_rest_follows,
            the_rest_of_a_page_ends_where_the_page_did,
            projetos_come_in_the_order_of_their_names,
            a_page_of_projetos_is_cut_at_its_bytes,
        ]);
        $crate::repository_suite!($fresh, projetos: [
            projeto_insert_answers_what_find_and_list_answer,
            projeto_find_answers_nothing_for_an_unknown_id,
            projeto_list_has_every_one,
            every_text_of_a_projeto_survives,
            each_field_of_a_projeto_changes_alone,
            projeto_update_answers_nothing_for_an_unknown_id,
            what_does_not_differ_in_a_projeto_is_not_written,
            a_clock_behind_still_moves_a_projeto_on,
            projeto_update_refuses_one_of_azure,
            projeto_delete_happens_once_and_spares_the_others,
            projeto_delete_refuses_one_of_azure,
            projeto_delete_refuses_one_with_atividades,
        ]);
        $crate::repository_suite!($fresh, sync: [
            synchronize_creates_under_azures_guid,
            synchronize_again_writes_nothing,
            synchronize_follows_each_field_of_azure,
            synchronize_marks_what_is_gone_once,
            synchronize_leaves_alone_what_is_not_said_to_be_gone,
            synchronize_leaves_alone_what_is_newer,
            synchronize_of_nothing_marks_all_of_azures,
            synchronize_brings_back_what_is_listed_again,
            synchronize_counts_an_id_that_comes_twice_once,
            synchronize_leaves_local_projetos_alone,
            synchronize_keeps_atividades,
            synchronize_takes_a_thousand_projetos,
            synchronize_moves_atualizado_em_on_when_the_clock_stands,
            synchronize_side_by_side_takes_turns,
            synchronize_side_by_side_ends_as_one_of_them,
            store_remote_creates_and_follows,
            store_remote_writes_nothing_when_nothing_differs,
            store_remote_leaves_the_others_alone,
            store_remote_side_by_side_creates_one,
        ]);
        $crate::repository_suite!($fresh, versions: [
            update_holds_for_the_expected_version_only,
            one_of_many_updates_of_a_version_holds,
            delete_holds_for_the_expected_version_only,
            changes_of_a_projeto_hold_for_the_expected_version_only,
        ]);
        $crate::repository_suite!($fresh, readiness: [
            readiness_answers,
        ]);
    };
    ($fresh:path, $chapter:ident: [$($check:ident,)+]) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (repositories, guard) = $fresh().await;
                $crate::testing::suite::$chapter::$check(&repositories).await;
                drop(guard);
            }
        )+
    };
}

/// What `varchar`, quoting, patterns and escapes could harm in a name.
const NOMES: [&str; 6] = [
    "Revisão «final» — ação",
    "'; DROP TABLE projetos; --",
    r#"100% "certo" \ `agora` $1 {id} ? : _"#,
    "e\u{301} ﷽ \u{200d}👩‍👩‍👧 \u{202e}abc \u{feff}",
    "linha\num\ttab",
    "NULL",
];

/// A moment `seconds` after [`NOW`].
fn later(seconds: i64) -> OffsetDateTime {
    NOW + Duration::seconds(seconds)
}

/// An id for which `n` alone decides the order.
fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0194_f6a0_0000_7000_8000_0000_0000_0000 + n)
}

/// Stores a projeto that exists only here.
async fn given_projeto(db: &Repositories, n: u128, nome: &str) -> Projeto {
    let record = ProjetoRecord { id: ProjetoId(id(n)), nome: nome_projeto(nome), descricao: None, criado_em: NOW };
    db.projetos.insert(record, None).await.unwrap()
}

/// An atividade to be stored: created by Maria at [`NOW`], active, without a description.
fn record(n: u128, projeto: ProjetoId) -> AtividadeRecord {
    let nova = nova_atividade(&format!("Atividade {n}"));
    let record = AtividadeRecord::new(nova, &maria().usuario, NOW);
    AtividadeRecord { id: AtividadeId(id(n)), projeto: ProjetoRef(projeto.0), ..record }
}

/// Stores a projeto «Portal» and in it the atividade number 1 with the name «Revisar».
async fn given_atividade(db: &Repositories) -> Atividade {
    let projeto = given_projeto(db, 1, "Portal").await;
    let record = AtividadeRecord { nome: nome_atividade("Revisar"), ..record(1, projeto.id) };
    db.atividades.insert(record).await.unwrap()
}

/// Runs all futures side by side and answers what they answer. It needs no runtime of its own: waiting for a database
/// is what they do, and while one waits the next one goes on.
async fn side_by_side<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(move |context| {
        for (future, answer) in &mut running {
            if let Some(Poll::Ready(value)) = future.as_mut().map(|future| future.as_mut().poll(context)) {
                (*future, *answer) = (None, Some(value));
            }
        }
        if running.iter().any(|(future, _)| future.is_some()) {
            return Poll::Pending;
        }
        Poll::Ready(running.iter_mut().filter_map(|(_, answer)| answer.take()).collect())
    })
    .await
}
