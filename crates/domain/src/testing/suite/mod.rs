//! One test for each guarantee of the ports, run on every database.
//!
//! The crate of an adapter runs them all in its tests, each on its own empty database:
//!
//! ```text
//! /// Returns an empty database, and a guard that is dropped after the test.
//! async fn fresh() -> (domain::testing::suite::Repositories, Guard) { … }
//!
//! mod suite {
//!     domain::repository_suite!(super::fresh);
//! }
//! ```
//!
//! `cargo test -p adapters-sqlite suite` runs the suite. To test a new guarantee, add a function to one of the modules
//! and its name to the list of [`crate::repository_suite`].
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

pub mod apontamentos;
pub mod apontamentos_limit;
pub mod apontamentos_list;
pub mod atividades;
pub mod atividades_list;
pub mod atividades_order;
pub mod atividades_projetos;
pub mod atividades_update;
pub mod bulk;
pub mod pages;
pub mod projetos;
pub mod readiness;
pub mod scripts;
pub mod store_remote;
pub mod sync;
pub mod versions;
pub mod write_back;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{NOW, maria, nome_atividade, nome_projeto, nova_atividade};
use crate::{
    ApontamentoRepository, Atividade, AtividadeId, AtividadeRecord, AtividadeRepository, Projeto, ProjetoId,
    ProjetoRecord, ProjetoRef, ProjetoRepository, Readiness, WriteBackQueue,
};

/// The ports on one empty database.
#[derive(Clone)]
pub struct Repositories {
    /// The time entries, whose hours are not written to Azure DevOps.
    pub apontamentos: Arc<dyn ApontamentoRepository>,
    /// The same time entries in a deployment that writes their hours.
    pub apontamentos_escritos: Arc<dyn ApontamentoRepository>,
    /// The work items of the organisation `exemplo` whose hours are to be written.
    pub escritas: Arc<dyn WriteBackQueue>,
    /// The atividades.
    pub atividades: Arc<dyn AtividadeRepository>,
    /// The projetos.
    pub projetos: Arc<dyn ProjetoRepository>,
    /// The readiness check.
    pub readiness: Arc<dyn Readiness>,
}

/// Generates a `#[tokio::test]` for each test of the [suite](crate::testing::suite). `$fresh` is an async function that
/// returns the [`Repositories`](crate::testing::suite::Repositories) of a new, empty database, and a guard that is
/// dropped after the test.
#[macro_export]
macro_rules! repository_suite {
    ($fresh:path) => {
        $crate::repository_suite!($fresh, apontamentos: [
            apontamento_insert_returns_the_row_that_find_and_list_return,
            apontamento_of_any_text_is_returned_unchanged,
            apontamento_insert_all_returns_the_rows_in_order,
            apontamento_insert_with_unknown_or_inactive_refuses_all,
            apontamento_insert_with_repeated_key_returns_the_first_result,
            concurrent_apontamento_inserts_with_one_key_insert_once,
            apontamento_shows_current_names_and_the_last_seen_work_item,
            apontamento_update_changes_only_what_differs,
            apontamento_update_is_refused_for_each_reason,
            apontamento_of_inactive_atividade_can_be_changed,
            apontamento_delete_is_for_the_owner_and_once,
            apontamentos_keep_their_atividade_and_projeto,
            find_projeto_prefers_azure_and_ignores_case,
        ]);
        $crate::repository_suite!($fresh, apontamentos_limit: [
            day_takes_24_hours_and_not_one_minute_more,
            day_limit_counts_the_items_of_one_request,
            day_limit_holds_for_updates,
            concurrent_inserts_keep_the_day_limit,
            concurrent_inserts_are_refused_only_if_they_do_not_fit,
            concurrent_updates_keep_the_day_limit,
            concurrent_requests_for_several_days_all_end,
        ]);
        $crate::repository_suite!($fresh, apontamentos_list: [
            apontamento_list_with_filters_returns_matches_of_all_filters,
            apontamento_list_pages_cover_the_whole_list,
            apontamento_list_of_large_rows_is_cut,
            report_groups_by_each_key,
            report_of_weeks_and_months_agrees_with_the_calendar,
            report_by_three_keys_is_filtered_and_bounded,
        ]);
        $crate::repository_suite!($fresh, atividades: [
            insert_returns_the_row_that_find_and_list_return,
            insert_into_azure_projeto_returns_its_name,
            insert_with_unknown_projeto_is_invalid,
            find_unknown_id_returns_none,
            insert_of_any_text_returns_it_unchanged,
            insert_of_any_time_keeps_the_microsecond,
            delete_twice_returns_true_then_false,
            find_after_renamed_projeto_returns_its_new_name,
        ]);
        $crate::repository_suite!($fresh, atividades_list: [
            list_of_empty_table_is_empty,
            list_by_default_is_newest_first,
            list_of_equal_times_is_ordered_by_id,
            list_pages_by_skip_cover_the_whole_list,
            list_with_filters_returns_matches_of_all_filters,
            list_beyond_the_end_is_empty_with_total,
        ]);
        $crate::repository_suite!($fresh, atividades_order: [
            list_in_each_order_and_direction_is_ordered,
            list_pages_by_cursor_cover_the_whole_list,
            list_after_cursor_of_deleted_row_continues_there,
            list_with_texto_ignores_case_and_accents,
            list_after_renaming_uses_the_new_name,
        ]);
        $crate::repository_suite!($fresh, atividades_projetos: [
            insert_with_several_projetos_keeps_their_order,
            concurrent_inserts_with_several_projetos_keep_theirs,
            insert_all_with_several_projetos_keeps_their_order,
            insert_with_unknown_projetos_names_each,
            update_of_projetos_replaces_all_in_order,
            update_with_equal_projetos_keeps_atualizado_em,
            update_with_unknown_projetos_names_each,
            concurrent_updates_of_projetos_end_as_one_of_them,
            concurrent_update_of_another_field_returns_projetos_of_one_time,
            update_of_projetos_of_another_version_is_a_mismatch,
            list_by_projeto_finds_each_of_several,
            projeto_delete_with_atividades_of_several_is_a_conflict,
            delete_of_atividade_with_several_projetos_frees_them,
            projeto_of_several_that_disappears_or_changes_keeps_its_place,
            list_of_rows_with_many_long_projetos_is_cut,
        ]);
        $crate::repository_suite!($fresh, atividades_update: [
            update_of_one_field_changes_only_that_field,
            update_of_all_fields_changes_them_all,
            update_to_empty_descricao_differs_from_null,
            update_with_unknown_projeto_changes_nothing,
            update_unknown_id_returns_none,
            update_with_equal_values_keeps_atualizado_em,
            update_with_earlier_clock_increments_atualizado_em,
            concurrent_updates_of_different_fields_are_all_applied,
        ]);
        $crate::repository_suite!($fresh, bulk: [
            insert_all_returns_the_stored_rows_in_order,
            insert_all_of_names_with_any_outer_character_returns_them_unchanged,
            insert_all_with_unknown_projetos_inserts_none,
            insert_all_with_repeated_key_returns_the_first_result,
            idempotency_key_of_another_request_is_rejected,
            idempotency_key_expires_after_its_lifetime,
            concurrent_insert_all_with_one_key_inserts_once,
            concurrent_projeto_inserts_with_one_key_insert_once,
        ]);
        $crate::repository_suite!($fresh, pages: [
            list_of_large_rows_is_cut_and_the_rest_can_be_read,
            list_with_ate_ends_at_that_position,
            projeto_list_is_ordered_by_name,
            projeto_list_of_large_rows_is_cut,
        ]);
        $crate::repository_suite!($fresh, projetos: [
            projeto_insert_returns_the_row_that_find_and_list_return,
            projeto_find_unknown_id_returns_none,
            projeto_list_returns_local_and_azure_projetos,
            projeto_of_any_text_is_returned_unchanged,
            projeto_update_of_one_field_changes_only_that_field,
            projeto_update_unknown_id_returns_none,
            projeto_update_with_equal_values_keeps_atualizado_em,
            projeto_update_with_earlier_clock_increments_atualizado_em,
            projeto_update_of_azure_projeto_is_a_conflict,
            projeto_delete_twice_returns_true_then_false,
            projeto_delete_of_azure_projeto_is_a_conflict,
            projeto_delete_with_atividades_is_a_conflict,
        ]);
        $crate::repository_suite!($fresh, scripts: [
            list_of_names_in_twelve_scripts_is_ordered,
            search_of_names_in_twelve_scripts_finds_the_same,
            search_folds_accents_and_keeps_letters,
        ]);
        $crate::repository_suite!($fresh, sync: [
            synchronize_new_projects_creates_them_under_their_guid,
            synchronize_equal_projects_writes_nothing,
            synchronize_changed_field_updates_it,
            synchronize_deleted_project_marks_it_once,
            synchronize_unlisted_unconfirmed_project_keeps_it,
            synchronize_older_list_keeps_newer_rows,
            synchronize_row_stamped_by_a_clock_far_ahead_is_corrected,
            synchronize_empty_list_marks_all_confirmed,
            synchronize_relisted_project_restores_it,
            synchronize_duplicate_id_counts_once_and_keeps_the_last,
            synchronize_keeps_local_projetos,
            synchronize_keeps_atividades,
            synchronize_thousand_projects_counts_each,
            synchronize_with_stopped_clock_increments_atualizado_em,
            concurrent_synchronize_of_one_list_creates_each_project_once,
            concurrent_synchronize_of_different_lists_ends_as_one_of_them,
        ]);
        $crate::repository_suite!($fresh, store_remote: [
            store_remote_creates_then_updates,
            store_remote_equal_project_writes_nothing,
            store_remote_keeps_other_rows,
            concurrent_store_remote_creates_one,
        ]);
        $crate::repository_suite!($fresh, versions: [
            update_of_another_version_is_a_mismatch,
            concurrent_updates_of_one_version_apply_once,
            delete_of_another_version_is_a_mismatch,
            projeto_change_of_another_version_is_a_mismatch,
        ]);
        $crate::repository_suite!($fresh, write_back: [
            changes_of_the_sum_add_the_work_item_once,
            refused_and_repeated_requests_add_nothing,
            changes_without_write_back_add_nothing,
            changes_become_due_together_after_some_seconds,
            claim_is_exclusive_until_it_ends_or_expires,
            concurrent_claims_share_the_work_items,
            sum_of_a_claim_has_every_change_up_to_its_version,
            change_during_a_claim_is_due_again,
            attempt_and_known_hours_are_returned_by_the_next_claim,
            lost_claim_changes_nothing,
            failed_work_item_waits_for_a_change_or_a_retry,
            retried_work_item_is_due_at_its_time,
            entries_of_a_work_item_come_in_order_and_are_bounded,
            work_item_that_failed_just_now_is_not_tried_again,
            persons_take_turns_in_a_claim,
            unverified_entry_is_written_once_its_owner_sees_the_work_item,
            escrita_of_an_entry_is_that_of_its_work_item,
            apontamento_list_is_filtered_by_escrita,
            concurrent_changes_of_several_work_items_all_end,
        ]);
        $crate::repository_suite!($fresh, readiness: [
            readiness_of_reachable_database_is_ok,
        ]);
    };
    ($fresh:path, $module:ident: [$($test:ident,)+]) => {
        $(
            #[tokio::test]
            async fn $test() {
                let (repositories, guard) = $fresh().await;
                $crate::testing::suite::$module::$test(&repositories).await;
                drop(guard);
            }
        )+
    };
}

/// Names that quoting, patterns, escapes or `varchar` could corrupt.
const NOMES: [&str; 6] = [
    "Revisão «final» — ação",
    "'; DROP TABLE projetos; --",
    r#"100% "certo" \ `agora` $1 {id} ? : _"#,
    "e\u{301} ﷽ \u{200d}👩‍👩‍👧 \u{202e}abc \u{feff}",
    "linha\num\ttab",
    "NULL",
];

/// Returns the time `seconds` after [`NOW`].
fn later(seconds: i64) -> OffsetDateTime {
    NOW + Duration::seconds(seconds)
}

/// Returns an id that sorts by `n`.
fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0194_f6a0_0000_7000_8000_0000_0000_0000 + n)
}

/// Inserts a local projeto.
async fn given_projeto(db: &Repositories, n: u128, nome: &str) -> Projeto {
    let record = ProjetoRecord { id: ProjetoId(id(n)), nome: nome_projeto(nome), descricao: None, criado_em: NOW };
    db.projetos.insert(record, None).await.unwrap()
}

/// Returns a record created by Maria at [`NOW`], active, without a description.
fn record(n: u128, projeto: ProjetoId) -> AtividadeRecord {
    let nova = nova_atividade(&format!("Atividade {n}"));
    let record = AtividadeRecord::new(nova, &maria().usuario, NOW);
    AtividadeRecord { id: AtividadeId(id(n)), projetos: ProjetoRef(projeto.0).into(), ..record }
}

/// Inserts the projeto «Portal» and in it the atividade number 1, «Revisar».
async fn given_atividade(db: &Repositories) -> Atividade {
    let projeto = given_projeto(db, 1, "Portal").await;
    let record = AtividadeRecord { nome: nome_atividade("Revisar"), ..record(1, projeto.id) };
    db.atividades.insert(record).await.unwrap()
}

/// Runs all futures concurrently and returns their results in order. Like `futures::future::join_all`, which would be a
/// dependency for this function alone.
async fn join_all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(move |context| {
        for (future, result) in &mut running {
            if let Some(Poll::Ready(value)) = future.as_mut().map(|future| future.as_mut().poll(context)) {
                (*future, *result) = (None, Some(value));
            }
        }
        if running.iter().any(|(future, _)| future.is_some()) {
            return Poll::Pending;
        }
        Poll::Ready(running.iter_mut().filter_map(|(_, result)| result.take()).collect())
    })
    .await
}
