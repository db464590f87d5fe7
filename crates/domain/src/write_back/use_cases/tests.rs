use std::collections::VecDeque;
use std::sync::Mutex;

use mockall::predicate::eq;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::testing::{NOW, fixed_clock, maria, work_item_states};
use crate::{BookedHours, HourFields, HoursChange, MockWorkItemWriter, MockWriteBackQueue, WorkItemId};

const ID: i64 = 41;
const KNOWN: KnownHours = KnownHours { rev: 5, completed_work: 3.5, manual: 2.0, minutos: 90 };
const ATTEMPT: WriteAttempt = WriteAttempt { rev: 5, completed_work: 4.0, manual: 2.0, minutos: 120 };

fn id() -> WorkItemId {
    WorkItemId::new(ID).unwrap()
}

/// 2 h 30 of entries, of which the last write contains 1 h 30.
fn pending() -> PendingWrite {
    PendingWrite {
        work_item: id(),
        claim: Uuid::nil(),
        versao: 3,
        minutos: 150,
        tentativas: 0,
        known: Some(KNOWN),
        attempt: None,
    }
}

fn item(rev: i64, completed_work: f64) -> WorkItemHours {
    WorkItemHours {
        id: id(),
        rev,
        tipo: "Task".to_owned(),
        estado: "Active".to_owned(),
        projeto: "Portal".to_owned(),
        original_estimate: Some(8.0),
        remaining_work: Some(4.5),
        completed_work: Some(completed_work),
    }
}

fn all_fields() -> HourFields {
    HourFields { completed_work: true, remaining_work: true }
}

const fn hours(completed_work: f64, remaining_work: f64) -> HoursWrite {
    HoursWrite { completed_work: Some(completed_work), remaining_work: Some(remaining_work) }
}

fn unavailable(retry_after: Option<u64>) -> Error {
    let retry_after = retry_after.map(std::time::Duration::from_secs);
    Error::Unavailable { service: Service::AzureDevOps, retry_after, cause: "no".into() }
}

type Response = fn() -> Result<WriteResult, Error>;

/// Azure DevOps with one work item, and what is written to it.
struct Azure {
    item: Option<WorkItemHours>,
    fields: HourFields,
    changes: Vec<HoursChange>,
    entries: Vec<BookedHours>,
    responses: Vec<Response>,
}

impl Azure {
    fn with(item: WorkItemHours) -> Self {
        Self { item: Some(item), fields: all_fields(), changes: vec![], entries: vec![], responses: vec![] }
    }
}

type Writes = Vec<(i64, HoursWrite)>;

/// Runs the job once for `pending`, and returns how it ended, the stored attempt, and what was sent.
async fn run(pending: PendingWrite, azure: Azure) -> (WriteEnd, Option<(KnownHours, WriteAttempt)>, Writes) {
    let Azure { item, fields, changes, entries, responses } = azure;
    let (ends, attempts, patches) =
        (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
    let (mut queue, mut writer) = (MockWriteBackQueue::new(), MockWorkItemWriter::new());
    let mut batches = VecDeque::from([vec![pending]]);
    queue.expect_claim().returning(move |_, _| Ok(batches.pop_front().unwrap_or_default()));
    queue.expect_entries().withf(|item, _, max| *item == id() && *max == 10_000).returning(move |_, filter, _| {
        let matches = |entry: &&BookedHours| {
            filter.usuarios.contains(&entry.usuario) && (filter.de..=filter.ate).contains(&entry.criado_em)
        };
        Ok(entries.iter().filter(matches).cloned().collect())
    });
    let saved = Arc::clone(&attempts);
    queue.expect_save_attempt().returning(move |_, known, attempt| {
        *saved.lock().unwrap() = Some((known, attempt));
        Ok(true)
    });
    let ended = Arc::clone(&ends);
    queue.expect_end().returning(move |_, end, _| {
        assert_eq!(ended.lock().unwrap().replace(end), None);
        Ok(())
    });
    writer.expect_read().with(eq(vec![id()])).returning(move |_| Ok(item.clone().into_iter().collect()));
    let tipo = WorkItemType { states: work_item_states(), fields };
    writer.expect_work_item_type().returning(move |_, _| Ok(tipo.clone()));
    writer.expect_changes().returning(move |_, _| Ok(changes.clone()));
    let sent = Arc::clone(&patches);
    let mut responses = VecDeque::from(responses);
    writer.expect_write().returning(move |_, rev, hours| {
        sent.lock().unwrap().push((rev, hours));
        responses.pop_front().map_or(Ok(WriteResult::Written { rev: rev + 1 }), |response| response())
    });
    WriteBack::new(Arc::new(queue), Arc::new(writer), fixed_clock()).escrever_pendentes().await.unwrap();
    (ends.lock().unwrap().unwrap(), *attempts.lock().unwrap(), patches.lock().unwrap().clone())
}

fn written(rev: i64, completed_work: f64, manual: f64) -> WriteEnd {
    WriteEnd::Written(KnownHours { rev, completed_work, manual, minutos: 150 })
}

fn retry(after: Duration) -> WriteEnd {
    WriteEnd::Retry { em: NOW + after, is_attempt_void: false }
}

#[tokio::test]
async fn sum_is_written_on_top_of_the_manual_part_after_the_attempt_is_stored() {
    let (end, attempt, writes) = run(pending(), Azure::with(item(5, 3.5))).await;

    assert_eq!(writes, [(5, hours(4.5, 3.5))]);
    let expected = WriteAttempt { rev: 5, completed_work: 4.5, manual: 2.0, minutos: 150 };
    assert_eq!((end, attempt), (written(6, 4.5, 2.0), Some((KNOWN, expected))));
}

#[tokio::test]
async fn hours_typed_meanwhile_survive() {
    let typed = HoursChange { rev: 7, autor: "rui".to_owned(), em: NOW, completed_work: 6.5 };
    let (end, _, writes) = run(pending(), Azure { changes: vec![typed], ..Azure::with(item(8, 6.5)) }).await;

    assert_eq!((end, writes), (written(9, 7.5, 5.0), vec![(8, hours(7.5, 0.5))]));
}

#[tokio::test]
async fn hours_added_by_the_form_of_the_client_count_once() {
    let form = HoursChange { rev: 6, autor: "ana".to_owned(), em: NOW, completed_work: 4.5 };
    let entries = vec![BookedHours { usuario: "ana".to_owned(), minutos: 60, criado_em: NOW }];
    let current = WorkItemHours { remaining_work: Some(3.5), ..item(6, 4.5) };
    let azure = Azure { changes: vec![form], entries, ..Azure::with(current) };

    assert_eq!(run(pending(), azure).await, (written(6, 4.5, 2.0), None, vec![]));
}

#[tokio::test]
async fn remaining_work_needs_an_estimate_and_is_never_negative() {
    let without = WorkItemHours { original_estimate: None, ..item(5, 3.5) };
    let exceeded = WorkItemHours { original_estimate: Some(4.0), ..item(5, 3.5) };
    for (item, remaining_work) in [(without, None), (exceeded, Some(0.0))] {
        let (_, _, writes) = run(pending(), Azure::with(item)).await;

        assert_eq!(writes, [(5, HoursWrite { completed_work: Some(4.5), remaining_work })]);
    }
}

#[tokio::test]
async fn type_without_fields_gets_what_it_has() {
    let scrum = WorkItemHours { original_estimate: None, completed_work: None, ..item(5, 0.0) };
    let estimated = WorkItemHours { completed_work: None, ..item(5, 0.0) };
    for (item, expected) in [(scrum, vec![]), (estimated, vec![Some(5.5)])] {
        let fields = HourFields { completed_work: false, remaining_work: true };
        let (end, _, writes) = run(pending(), Azure { fields, ..Azure::with(item) }).await;

        assert!(matches!(end, WriteEnd::Written(_)), "{end:?}");
        assert!(writes.iter().all(|(_, hours)| hours.completed_work.is_none()));
        assert_eq!(writes.iter().map(|(_, hours)| hours.remaining_work).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn missing_closed_and_refusing_work_items_fail_with_the_reason() {
    let failed = |motivo, is_attempt_void| WriteEnd::Failed { motivo, is_attempt_void };
    let missing = Azure { item: None, ..Azure::with(item(5, 3.5)) };
    assert_eq!(run(pending(), missing).await, (failed(MotivoDoErro::Inexistente, false), None, vec![]));

    let nothing_written = KnownHours { minutos: 0, ..KNOWN };
    let cases = [
        (None, None, WriteEnd::Written(KnownHours::default())),
        (Some(nothing_written), None, WriteEnd::Written(nothing_written)),
        (Some(KNOWN), None, failed(MotivoDoErro::Inexistente, false)),
        (None, Some(ATTEMPT), failed(MotivoDoErro::Inexistente, false)),
    ];
    for (known, attempt, end) in cases {
        let without_entries = PendingWrite { minutos: 0, known, attempt, ..pending() };
        let missing = Azure { item: None, ..Azure::with(item(5, 3.5)) };
        assert_eq!(run(without_entries, missing).await, (end, None, vec![]));
    }

    let closed = Azure::with(WorkItemHours { estado: "Closed".to_owned(), ..item(6, 3.5) });
    assert_eq!(run(pending(), closed).await, (failed(MotivoDoErro::Encerrado, false), None, vec![]));

    let responses: Vec<Response> = vec![|| Ok(WriteResult::Refused(MotivoDoErro::Regra))];
    let (end, _, writes) = run(pending(), Azure { responses, ..Azure::with(item(5, 3.5)) }).await;
    assert_eq!((end, writes.len()), (failed(MotivoDoErro::Regra, true), 1));
}

#[tokio::test]
async fn closed_work_item_that_has_its_hours_is_no_error() {
    let closed = WorkItemHours { estado: "Closed".to_owned(), remaining_work: Some(3.5), ..item(6, 4.5) };
    let attempt = Some(WriteAttempt { completed_work: 4.5, minutos: 150, ..ATTEMPT });

    let (end, _, writes) = run(PendingWrite { attempt, ..pending() }, Azure::with(closed)).await;

    assert_eq!((end, writes), (written(6, 4.5, 2.0), vec![]));
}

#[tokio::test]
async fn conflict_and_outage_lead_to_another_attempt_later() {
    let cases: [(Response, u32, Duration); 5] = [
        (|| Err(unavailable(None)), 0, FIRST_RETRY),
        (|| Err(unavailable(None)), 3, FIRST_RETRY * 8),
        (|| Err(unavailable(Some(90))), 3, Duration::seconds(90)),
        (|| Err(unavailable(Some(1))), 299, MAX_RETRY),
        (|| Err(Error::TimedOut { service: Service::AzureDevOps, cause: "no".into() }), 1, FIRST_RETRY * 2),
    ];
    for (response, tentativas, wait) in cases {
        let azure = Azure { responses: vec![response], ..Azure::with(item(5, 3.5)) };
        let (end, attempt, _) = run(PendingWrite { tentativas, ..pending() }, azure).await;

        assert_eq!((end, attempt.is_some()), (retry(wait), true));
    }
}

/// Somebody who then types as many hours as were to be written would otherwise be taken for the service.
#[tokio::test]
async fn attempt_that_met_another_revision_at_once_is_void() {
    let azure = || Azure { responses: vec![|| Ok(WriteResult::Outdated)], ..Azure::with(item(5, 3.5)) };

    let (end, attempt, _) = run(pending(), azure()).await;
    assert_eq!(end, WriteEnd::Retry { em: NOW + FIRST_RETRY, is_attempt_void: true });
    assert!(attempt.is_some());
    let (end, ..) = run(PendingWrite { tentativas: MAX_ATTEMPTS, ..pending() }, azure()).await;
    assert_eq!(end, WriteEnd::Failed { motivo: MotivoDoErro::SemResposta, is_attempt_void: true });
}

#[tokio::test]
async fn attempts_end_after_a_bounded_number() {
    let azure = Azure { responses: vec![|| Err(unavailable(None))], ..Azure::with(item(5, 3.5)) };

    let (end, ..) = run(PendingWrite { tentativas: MAX_ATTEMPTS, ..pending() }, azure).await;

    assert_eq!(end, WriteEnd::Failed { motivo: MotivoDoErro::SemResposta, is_attempt_void: false });
}

#[tokio::test]
async fn attempt_that_took_effect_is_not_repeated() {
    let pending = PendingWrite { attempt: Some(ATTEMPT), ..pending() };

    let (end, attempt, writes) = run(pending, Azure::with(item(6, 4.0))).await;

    assert_eq!((end, writes), (written(7, 4.5, 2.0), vec![(6, hours(4.5, 3.5))]));
    assert_eq!(attempt.unwrap().0, KnownHours { rev: 6, completed_work: 4.0, manual: 2.0, minutos: 120 });
}

#[tokio::test]
async fn attempt_that_may_still_arrive_is_sent_again_before_any_other() {
    let pending = PendingWrite { attempt: Some(ATTEMPT), ..pending() };
    let (end, _, writes) = run(pending.clone(), Azure::with(item(5, 3.5))).await;
    assert_eq!((end, writes), (written(7, 4.5, 2.0), vec![(5, hours(4.0, 4.0)), (6, hours(4.5, 3.5))]));

    let responses: Vec<Response> = vec![|| Ok(WriteResult::Outdated)];
    let (end, attempt, writes) = run(pending.clone(), Azure { responses, ..Azure::with(item(5, 3.5)) }).await;
    assert_eq!((end, attempt, writes.len()), (retry(FIRST_RETRY), None, 1));

    let responses: Vec<Response> = vec![|| Ok(WriteResult::Refused(MotivoDoErro::Regra))];
    let (end, ..) = run(pending, Azure { responses, ..Azure::with(item(5, 3.5)) }).await;
    assert_eq!(end, WriteEnd::Failed { motivo: MotivoDoErro::Regra, is_attempt_void: false });
}

#[tokio::test]
async fn outage_while_reading_delays_every_work_item_of_the_batch() {
    let (mut queue, mut writer) = (MockWriteBackQueue::new(), MockWorkItemWriter::new());
    let mut batches = VecDeque::from([vec![pending(), pending()]]);
    queue.expect_claim().returning(move |_, _| Ok(batches.pop_front().unwrap_or_default()));
    let is_retry = |_: &PendingWrite, end: &WriteEnd, _: &OffsetDateTime| *end == retry(Duration::MINUTE);
    queue.expect_end().withf(is_retry).times(2).returning(|_, _, _| Ok(()));
    writer.expect_read().returning(|_| Err(unavailable(Some(60))));

    let job = WriteBack::new(Arc::new(queue), Arc::new(writer), fixed_clock());
    let summary = job.escrever_pendentes().await.unwrap();

    assert_eq!((summary.retried, summary.last_error.is_some()), (2, true));
}

#[tokio::test]
async fn rejected_credential_ends_the_run_and_no_work_item() {
    let errors: [fn() -> Error; 2] = [|| Error::CredentialRejected, || Error::Forbidden];
    for error in errors {
        let (mut queue, mut writer) = (MockWriteBackQueue::new(), MockWorkItemWriter::new());
        queue.expect_claim().returning(|_, _| Ok(vec![pending()]));
        writer.expect_read().returning(move |_| Err(error()));

        let job = WriteBack::new(Arc::new(queue), Arc::new(writer), fixed_clock());

        assert!(job.escrever_pendentes().await.is_err());
    }
}

#[tokio::test]
async fn lost_claim_sends_nothing() {
    let (mut queue, mut writer) = (MockWriteBackQueue::new(), MockWorkItemWriter::new());
    let mut batches = VecDeque::from([vec![pending()]]);
    queue.expect_claim().returning(move |_, _| Ok(batches.pop_front().unwrap_or_default()));
    queue.expect_save_attempt().returning(|_, _, _| Ok(false));
    writer.expect_read().returning(|_| Ok(vec![item(5, 3.5)]));
    writer
        .expect_work_item_type()
        .returning(|_, _| Ok(WorkItemType { states: work_item_states(), fields: all_fields() }));

    let job = WriteBack::new(Arc::new(queue), Arc::new(writer), fixed_clock());

    assert_eq!(job.escrever_pendentes().await.unwrap().written, 0);
}

#[tokio::test]
async fn reenviar_needs_write_back() {
    let error = Escritas::new(None, fixed_clock()).reenviar(&maria()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::EscritaDesligada)));

    let mut queue = MockWriteBackQueue::new();
    let a_minute_ago = |usuario: &str, until: &OffsetDateTime, now: &OffsetDateTime| {
        (usuario, *until, *now) == (maria().usuario.id.as_str(), NOW - Duration::MINUTE, NOW)
    };
    queue.expect_retry_failed().withf(a_minute_ago).returning(|_, _, _| Ok(3));
    assert_eq!(Escritas::new(Some(Arc::new(queue)), fixed_clock()).reenviar(&maria()).await.unwrap(), 3);
}
