//! Work items whose hours are to be written to Azure DevOps.

use time::Duration;

use super::apontamentos::{entry, minutos, reasons};
use super::{NOW, Repositories, given_atividade, join_all, later};
use crate::{
    Apontamento, ApontamentoFiltro, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord, Atividade, BookedHours,
    BookedHoursFilter, Comentario, Escrita, EscritaFiltro, Idempotency, IdempotencyKey, KnownHours, MotivoDoErro,
    Patch, PendingWrite, Usuario, WorkItemId, WriteAttempt, WriteBackTotals, WriteEnd,
};

const KNOWN: KnownHours = KnownHours { rev: 5, completed_work: 3.5, manual: 2.0, minutos: 90 };
const ATTEMPT: WriteAttempt = WriteAttempt { rev: 5, completed_work: 4.25, manual: 2.0, minutos: 135 };
/// Long enough for every change to be due, and every claim to be over.
const LATE: Duration = Duration::minutes(5);

fn work_item(id: i64) -> WorkItemId {
    WorkItemId::new(id).unwrap()
}

/// Entry number `n` on a work item.
fn entry_on(id: i64, n: u128, atividade: &Atividade) -> ApontamentoRecord {
    ApontamentoRecord { work_item: work_item(id), ..entry(n, atividade) }
}

async fn given(db: &Repositories, records: Vec<ApontamentoRecord>) -> Vec<Apontamento> {
    db.apontamentos_escritos.insert_all(records, None).await.unwrap()
}

async fn given_one(db: &Repositories) -> Apontamento {
    let atividade = given_atividade(db).await;
    given(db, vec![entry(1, &atividade)]).await.remove(0)
}

async fn claim(db: &Repositories) -> Vec<PendingWrite> {
    db.escritas.claim(NOW + LATE, 100).await.unwrap()
}

async fn claim_one(db: &Repositories) -> PendingWrite {
    let mut claimed = claim(db).await;
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

async fn end(db: &Repositories, pending: &PendingWrite, end: WriteEnd) {
    db.escritas.end(pending, end, NOW + LATE).await.unwrap();
}

async fn retry_failed(db: &Repositories) -> u64 {
    db.escritas.retry_failed("ana", NOW + LATE, NOW).await.unwrap()
}

/// Ends every claim as written.
async fn settle(db: &Repositories) {
    for pending in claim(db).await {
        end(db, &pending, WriteEnd::Written(KNOWN)).await;
    }
}

async fn change(db: &Repositories, entry: &Apontamento, patch: ApontamentoPatch) -> Apontamento {
    let changed = db.apontamentos_escritos.update(entry.id, &entry.usuario.id, patch, NOW).await;
    changed.unwrap().unwrap()
}

fn of_minutes(minutes: u16) -> ApontamentoPatch {
    ApontamentoPatch { minutos: Some(minutos(minutes)), ..ApontamentoPatch::default() }
}

/// Inserts, changes of the duration and deletions add it; several add it once.
pub async fn changes_of_the_sum_add_the_work_item_once(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let rows =
        given(db, vec![entry_on(41, 1, &atividade), entry_on(7, 2, &atividade), entry_on(41, 3, &atividade)]).await;

    let mut claimed = claim(db).await;
    claimed.sort_by_key(|pending| pending.work_item);
    let seen = |pending: &PendingWrite| (pending.work_item.get(), pending.minutos, pending.known, pending.attempt);
    assert_eq!(claimed.iter().map(seen).collect::<Vec<_>>(), [(7, 10, None, None), (41, 20, None, None)]);
    for pending in &claimed {
        end(db, pending, WriteEnd::Written(KNOWN)).await;
    }
    assert_eq!(claim(db).await, []);

    assert_eq!(change(db, &rows[0], of_minutes(25)).await.escrita, Escrita::Pendente);
    let pending = claim_one(db).await;
    assert_eq!((pending.work_item.get(), pending.minutos, pending.known), (41, 35, Some(KNOWN)));
    end(db, &pending, WriteEnd::Written(KNOWN)).await;

    let usuario = &rows[0].usuario.id;
    assert!(db.apontamentos_escritos.delete(rows[0].id, usuario, None, NOW).await.unwrap());
    assert_eq!(claim_one(db).await.minutos, 10);
}

/// Nothing changed, so there is nothing to write.
pub async fn refused_and_repeated_requests_add_nothing(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let key = IdempotencyKey::parse("a").unwrap();
    let once = || Some(Idempotency { usuario: "ana".to_owned(), key: key.clone(), request: [1; 32] });
    let records = || vec![entry(1, &atividade)];
    let first = db.apontamentos_escritos.insert_all(records(), once()).await.unwrap();
    settle(db).await;

    let repeated = db.apontamentos_escritos.insert_all(records(), once()).await.unwrap();
    assert_eq!(repeated, first);
    let too_long = ApontamentoRecord { minutos: minutos(1440), ..entry(2, &atividade) };
    let refused = db.apontamentos_escritos.insert_all(vec![too_long], None).await.unwrap_err();
    assert_eq!(reasons(refused).len(), 1);
    let refused = db.apontamentos_escritos.update(first[0].id, "rui", of_minutes(5), NOW).await.unwrap_err();
    assert_eq!(reasons(refused).len(), 1);
    assert!(db.apontamentos_escritos.delete(first[0].id, "rui", None, NOW).await.is_err());
    change(db, &first[0], of_minutes(10)).await;
    let comentario = Patch::Value(Comentario::from_stored("a".to_owned()).unwrap());
    let changed = change(db, &first[0], ApontamentoPatch { comentario, ..ApontamentoPatch::default() }).await;

    assert_eq!(changed.escrita, Escrita::Ok);
    assert_eq!(claim(db).await, []);
}

/// They leave the table alone, and entries say so.
pub async fn changes_without_write_back_add_nothing(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let rows = db.apontamentos.insert_all(vec![entry(1, &atividade), entry(2, &atividade)], None).await.unwrap();
    let usuario = &rows[0].usuario.id;
    let changed = db.apontamentos.update(rows[0].id, usuario, of_minutes(20), NOW).await.unwrap().unwrap();
    assert!(db.apontamentos.delete(rows[1].id, usuario, None, NOW).await.unwrap());

    assert_eq!((rows[0].escrita, changed.escrita), (Escrita::Desligada, Escrita::Desligada));
    assert_eq!((claim(db).await, db.escritas.totals().await.unwrap()), (vec![], WriteBackTotals::default()));
    let seen = db.apontamentos_escritos.find(rows[0].id).await.unwrap().unwrap();
    assert_eq!(seen.escrita, Escrita::Desligada, "no change since write-back is on");
}

/// The first change decides when, so that steady changes do not delay the write for ever.
pub async fn changes_become_due_together_after_some_seconds(db: &Repositories) {
    let atividade = given_atividade(db).await;
    for n in 0..4 {
        given(db, vec![entry(n, &atividade)]).await;
    }

    assert_eq!(db.escritas.claim(later(1), 100).await.unwrap(), []);
    let totals = db.escritas.totals().await.unwrap();
    assert_eq!(totals, WriteBackTotals { pendentes: 1, erros: 0, desde: Some(NOW) });
    let claimed = db.escritas.claim(later(4), 100).await.unwrap();
    assert_eq!(claimed.iter().map(|pending| (pending.minutos, pending.versao)).collect::<Vec<_>>(), [(40, 4)]);
}

/// A process that dies does not keep it.
pub async fn claim_is_exclusive_until_it_ends_or_expires(db: &Repositories) {
    given_one(db).await;
    let first = claim_one(db).await;

    assert_eq!(claim(db).await, []);
    let second = db.escritas.claim(NOW + LATE + Duration::minutes(2), 100).await.unwrap().remove(0);
    assert_ne!(first.claim, second.claim);
    assert_eq!(PendingWrite { claim: first.claim, ..second }, first);
}

/// No work item is claimed twice, and none is left out.
pub async fn concurrent_claims_share_the_work_items(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let records = (1..=30_i64).map(|n| entry_on(n, n.unsigned_abs().into(), &atividade)).collect();
    given(db, records).await;

    let mut rounds = Vec::new();
    for _ in 0..8 {
        rounds.push(Box::pin(db.escritas.claim(NOW + LATE, 4)) as _);
    }
    let mut claimed: Vec<_> = join_all(rounds).await.into_iter().flat_map(Result::unwrap).collect();
    claimed.extend(claim(db).await);

    let mut ids: Vec<_> = claimed.iter().map(|pending| pending.work_item.get()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=30).collect::<Vec<_>>());
}

/// Otherwise the end of the claim would forget a change.
pub async fn sum_of_a_claim_has_every_change_up_to_its_version(db: &Repositories) {
    let atividade = given_atividade(db).await;
    given(db, vec![entry(0, &atividade)]).await;
    for round in 0..10 {
        let first = 1 + round * 4;
        let mut work: Vec<std::pin::Pin<Box<dyn Future<Output = Option<PendingWrite>> + Send>>> = Vec::new();
        for n in first..first + 4 {
            let record = ApontamentoRecord { minutos: minutos(1), ..entry(n, &atividade) };
            work.push(Box::pin(async move {
                db.apontamentos_escritos.insert_all(vec![record], None).await.unwrap();
                None
            }));
        }
        work.push(Box::pin(async { claim(db).await.pop() }));
        let claimed = join_all(work).await.into_iter().flatten().next();
        let claimed = match claimed {
            Some(claimed) => claimed,
            None => claim_one(db).await,
        };

        // Entry number 0 has 10 minutes and each later one has 1, so the sum tells which of them it contains.
        let versao = u32::try_from(claimed.versao).unwrap();
        assert!(10 + versao - 1 <= claimed.minutos, "{claimed:?}");
        end(db, &claimed, WriteEnd::Written(KNOWN)).await;
        settle(db).await;
    }
}

/// The write does not contain it.
pub async fn change_during_a_claim_is_due_again(db: &Repositories) {
    let row = given_one(db).await;
    let pending = claim_one(db).await;

    change(db, &row, of_minutes(60)).await;
    assert_eq!(claim(db).await, [], "it is still claimed");
    end(db, &pending, WriteEnd::Written(KNOWN)).await;

    let seen = db.apontamentos_escritos.find(row.id).await.unwrap().unwrap();
    assert_eq!(seen.escrita, Escrita::Pendente);
    let next = claim_one(db).await;
    assert_eq!((next.minutos, next.known), (60, Some(KNOWN)));
}

/// They are what the next process needs after a crash.
pub async fn attempt_and_known_hours_are_returned_by_the_next_claim(db: &Repositories) {
    given_one(db).await;
    let pending = claim_one(db).await;
    assert!(db.escritas.save_attempt(&pending, KNOWN, ATTEMPT).await.unwrap());

    end(db, &pending, WriteEnd::Retry { em: NOW, is_attempt_void: false }).await;
    let next = claim_one(db).await;
    assert_eq!((next.known, next.attempt, next.tentativas), (Some(KNOWN), Some(ATTEMPT), 1));
    end(db, &next, WriteEnd::Retry { em: NOW, is_attempt_void: true }).await;
    let next = claim_one(db).await;
    assert_eq!((next.known, next.attempt, next.tentativas), (Some(KNOWN), None, 2));

    let written = KnownHours { rev: 6, completed_work: 4.25, manual: 2.0, minutos: 135 };
    end(db, &next, WriteEnd::Written(written)).await;
    retry_failed(db).await;
    assert_eq!(claim(db).await, []);
}

/// Another process goes on with it.
pub async fn lost_claim_changes_nothing(db: &Repositories) {
    given_one(db).await;
    let lost = claim_one(db).await;
    let other = db.escritas.claim(NOW + LATE * 2, 100).await.unwrap().remove(0);

    assert!(!db.escritas.save_attempt(&lost, KNOWN, ATTEMPT).await.unwrap());
    end(db, &lost, WriteEnd::Written(KNOWN)).await;
    assert_eq!(db.escritas.totals().await.unwrap().pendentes, 1);

    assert!(db.escritas.save_attempt(&other, KNOWN, ATTEMPT).await.unwrap());
    end(db, &other, WriteEnd::Written(KNOWN)).await;
    assert_eq!(db.escritas.totals().await.unwrap().pendentes, 0);
}

/// Time alone does not start another attempt.
pub async fn failed_work_item_waits_for_a_change_or_a_retry(db: &Repositories) {
    let row = given_one(db).await;
    for motivo in MotivoDoErro::ALL {
        let pending = claim_one(db).await;
        assert!(db.escritas.save_attempt(&pending, KNOWN, ATTEMPT).await.unwrap());
        end(db, &pending, WriteEnd::Failed { motivo, is_attempt_void: false }).await;

        assert_eq!(db.escritas.totals().await.unwrap(), WriteBackTotals { pendentes: 0, erros: 1, desde: None });
        assert_eq!(claim(db).await, []);
        let seen = db.apontamentos_escritos.find(row.id).await.unwrap().unwrap();
        assert_eq!(seen.escrita, Escrita::Erro(motivo));
        assert_eq!(retry_failed(db).await, 1);
    }
    assert_eq!(retry_failed(db).await, 0);
    let pending = claim_one(db).await;
    assert_eq!((pending.attempt, pending.tentativas), (Some(ATTEMPT), 0));

    end(db, &pending, WriteEnd::Failed { motivo: MotivoDoErro::Regra, is_attempt_void: true }).await;
    change(db, &row, of_minutes(11)).await;
    assert_eq!(claim_one(db).await.attempt, None);
}

/// Repeated requests for a retry do not keep the job busy.
pub async fn work_item_that_failed_just_now_is_not_tried_again(db: &Repositories) {
    given_one(db).await;
    let pending = claim_one(db).await;
    end(db, &pending, WriteEnd::Failed { motivo: MotivoDoErro::Encerrado, is_attempt_void: true }).await;

    let until = NOW + LATE - Duration::SECOND;
    assert_eq!(db.escritas.retry_failed("ana", until, NOW + LATE).await.unwrap(), 0);
    assert_eq!(db.escritas.totals().await.unwrap().erros, 1);
    assert_eq!(retry_failed(db).await, 1);
    claim_one(db).await;
}

/// A bulk request of one person does not make all others wait.
pub async fn persons_take_turns_in_a_claim(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let bulk = (1..=30_i64).map(|id| {
        let of_minute = ApontamentoRecord { minutos: minutos(1), ..entry_on(id, id.unsigned_abs().into(), &atividade) };
        ApontamentoRecord { criado_em: NOW, ..of_minute }
    });
    given(db, bulk.collect()).await;
    for (id, usuario) in [(41, "rui"), (42, "rui"), (43, "bia"), (1, "rui")] {
        let usuario = Usuario { id: usuario.to_owned(), ..entry(1, &atividade).usuario };
        let record = entry_on(id, 100 + u128::from(id.unsigned_abs()), &atividade);
        given(db, vec![ApontamentoRecord { usuario, ..record }]).await;
    }

    let next = async |max| {
        let claimed = db.escritas.claim(NOW + LATE, max).await.unwrap();
        let mut ids: Vec<_> = claimed.iter().map(|pending| pending.work_item.get()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(next(6).await, [1, 2, 3, 41, 42, 43]);
    assert_eq!(next(100).await, (4..=30).collect::<Vec<_>>());
}

/// A change does not bring it forward, because Azure DevOps may have asked for the pause.
pub async fn retried_work_item_is_due_at_its_time(db: &Repositories) {
    let row = given_one(db).await;
    let pending = claim_one(db).await;
    let em = NOW + LATE + Duration::minutes(10);
    end(db, &pending, WriteEnd::Retry { em, is_attempt_void: false }).await;
    change(db, &row, of_minutes(11)).await;

    assert_eq!(db.escritas.claim(em - Duration::SECOND, 100).await.unwrap(), []);
    let again = db.escritas.claim(em, 100).await.unwrap();
    assert_eq!(again.iter().map(|pending| (pending.tentativas, pending.minutos)).collect::<Vec<_>>(), [(1, 11)]);
}

/// Only those of the organisation, the persons and the time, and no more than asked for.
pub async fn entries_of_a_work_item_come_in_order_and_are_bounded(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let other = ApontamentoRecord { organizacao: "outra".to_owned(), ..entry(3, &atividade) };
    let rui = Usuario { id: "rui".to_owned(), ..entry(5, &atividade).usuario };
    let of_rui = ApontamentoRecord { usuario: rui, ..entry(5, &atividade) };
    let mut records = vec![entry(2, &atividade), entry(1, &atividade), other, entry_on(7, 4, &atividade), of_rui];
    records.extend([entry(6, &atividade), entry(7, &atividade)]);
    given(db, records).await;

    let usuario = entry(1, &atividade).usuario.id;
    let booked = |n| BookedHours { usuario: usuario.clone(), minutos: 10, criado_em: later(n) };
    let filter = |de, ate| BookedHoursFilter {
        usuarios: [usuario.clone(), "ninguem".to_owned()].into(),
        de: later(de),
        ate: later(ate),
    };
    let entries = async |filter, max| db.escritas.entries(work_item(41), filter, max).await.unwrap();
    assert_eq!(entries(filter(1, 6), 100).await, [booked(1), booked(2), booked(6)]);
    assert_eq!(entries(filter(1, 6), 2).await, [booked(2), booked(6)]);
    assert_eq!(entries(filter(8, 9), 100).await, []);
    assert_eq!(claim(db).await.len(), 2, "the work item of the other organisation is not claimed");
}

/// The service must not change a work item for a person who has not seen it.
pub async fn unverified_entry_is_written_once_its_owner_sees_the_work_item(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let unverified = |id, n| ApontamentoRecord { verificado: false, ..entry_on(id, n, &atividade) };
    let rows = given(db, vec![unverified(41, 1), unverified(41, 2), unverified(7, 3)]).await;
    let maria = rows[0].usuario.id.clone();
    let changed = change(db, &rows[0], of_minutes(25)).await;
    assert!(db.apontamentos_escritos.delete(rows[1].id, &maria, None, NOW).await.unwrap());

    assert_eq!((rows[0].escrita, changed.escrita), (Escrita::Pendente, Escrita::Pendente));
    assert_eq!(claim(db).await, [], "neither an insert nor a change nor a deletion has it written");
    let rui = Usuario { id: "rui".to_owned(), ..entry(4, &atividade).usuario };
    given(db, vec![ApontamentoRecord { usuario: rui, ..entry_on(41, 4, &atividade) }]).await;
    let pending = claim_one(db).await;
    assert_eq!((pending.work_item, pending.minutos), (work_item(41), 10), "the sum of those who see it");
    end(db, &pending, WriteEnd::Written(KNOWN)).await;

    let listed = async |escrita| {
        let filtro = ApontamentoFiltro { escrita: Some(escrita), ..ApontamentoFiltro::default() };
        let query = ApontamentoQuery { filtro, ..ApontamentoQuery::default() };
        db.apontamentos_escritos.list(query).await.unwrap().items.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(EscritaFiltro::Pendente).await, [rows[2].id, rows[0].id]);
    assert_eq!((listed(EscritaFiltro::Ok).await.len(), listed(EscritaFiltro::Desligada).await), (1, vec![]));

    db.apontamentos_escritos.mark_verified("rui", vec![work_item(41), work_item(7)], NOW).await.unwrap();
    db.apontamentos_escritos.mark_verified(&maria, vec![work_item(8)], NOW).await.unwrap();
    assert_eq!(claim(db).await, [], "another person or another work item");
    db.apontamentos_escritos.mark_verified(&maria, vec![work_item(41)], NOW).await.unwrap();
    db.apontamentos_escritos.mark_verified(&maria, vec![work_item(41)], NOW).await.unwrap();
    let pending = claim_one(db).await;
    assert_eq!((pending.work_item, pending.minutos), (work_item(41), 35));
    end(db, &pending, WriteEnd::Written(KNOWN)).await;
    assert_eq!(listed(EscritaFiltro::Pendente).await, [rows[2].id]);
}

/// Pending from the response of the request on.
pub async fn escrita_of_an_entry_is_that_of_its_work_item(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let rows = given(db, vec![entry_on(41, 1, &atividade), entry_on(7, 2, &atividade)]).await;
    let states = async || {
        let mut states = Vec::new();
        for row in &rows {
            states.push(db.apontamentos_escritos.find(row.id).await.unwrap().unwrap().escrita);
        }
        states
    };
    assert_eq!(rows.iter().map(|row| row.escrita).collect::<Vec<_>>(), [Escrita::Pendente; 2]);
    assert_eq!(states().await, [Escrita::Pendente; 2]);

    for pending in claim(db).await {
        let ended = match pending.work_item.get() {
            7 => WriteEnd::Failed { motivo: MotivoDoErro::Encerrado, is_attempt_void: true },
            _ => WriteEnd::Written(KNOWN),
        };
        end(db, &pending, ended).await;
    }
    assert_eq!(states().await, [Escrita::Ok, Escrita::Erro(MotivoDoErro::Encerrado)]);
    assert_eq!(db.apontamentos.find(rows[0].id).await.unwrap().unwrap().escrita, Escrita::Desligada);
}

/// Lists, totals and reports.
pub async fn apontamento_list_is_filtered_by_escrita(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let rows = given(db, [41, 7, 8].map(|id| entry_on(id, id.unsigned_abs().into(), &atividade)).to_vec()).await;
    db.apontamentos.insert_all(vec![entry_on(9, 9, &atividade)], None).await.unwrap();
    for pending in claim(db).await {
        match pending.work_item.get() {
            41 => end(db, &pending, WriteEnd::Written(KNOWN)).await,
            7 => end(db, &pending, WriteEnd::Failed { motivo: MotivoDoErro::Regra, is_attempt_void: true }).await,
            _ => {}
        }
    }
    assert_eq!(rows.len(), 3);
    let all = [EscritaFiltro::Ok, EscritaFiltro::Erro, EscritaFiltro::Pendente, EscritaFiltro::Desligada];
    for (escrita, expected) in all.into_iter().zip([41, 7, 8, 9]) {
        let filtro = ApontamentoFiltro { escrita: Some(escrita), ..ApontamentoFiltro::default() };
        let query = ApontamentoQuery { filtro: filtro.clone(), ..ApontamentoQuery::default() };
        let ids = |items: &[Apontamento]| items.iter().map(|item| item.work_item.get()).collect::<Vec<_>>();

        let found = db.apontamentos_escritos.list(query.clone()).await.unwrap();
        assert_eq!(ids(&found.items), [expected]);
        let totals = db.apontamentos_escritos.totals(filtro.clone()).await.unwrap();
        assert_eq!(totals.apontamentos, 1);
        let lines = db.apontamentos_escritos.report(filtro, vec![crate::Agrupamento::WorkItem], 10).await.unwrap();
        assert_eq!(lines.len(), 1);

        let is_off = escrita == EscritaFiltro::Desligada;
        let without = db.apontamentos.list(query).await.unwrap();
        assert_eq!(without.items.len(), if is_off { 4 } else { 0 });
    }
}

/// Requests lock the work items in one order.
pub async fn concurrent_changes_of_several_work_items_all_end(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let mut requests = Vec::new();
    for request in 0..8_u128 {
        let mut ids: Vec<i64> = (1..=6).collect();
        if request % 2 == 1 {
            ids.reverse();
        }
        let records = ids.into_iter().map(|id| {
            let n = request * 10 + u128::from(id.unsigned_abs());
            ApontamentoRecord { minutos: minutos(1), ..entry_on(id, n, &atividade) }
        });
        requests.push(Box::pin(db.apontamentos_escritos.insert_all(records.collect(), None)) as _);
    }

    let results: Vec<Result<Vec<Apontamento>, crate::Error>> = join_all(requests).await;
    for result in results {
        assert_eq!(result.unwrap().len(), 6);
    }
    let claimed = claim(db).await;
    assert_eq!(claimed.iter().map(|pending| (pending.minutos, pending.versao)).collect::<Vec<_>>(), [(8, 8); 6]);
}
