//! The limit of 24:00 per person and day.

use time::Date;
use time::macros::date;

use super::apontamentos::{entry, given, minutos, reasons};
use super::{Repositories, given_atividade, join_all, later};
use crate::{
    ApontamentoFiltro, ApontamentoPatch, ApontamentoRecord, Atividade, Error, RefusalReason, Usuario, UsuarioRef,
};

const DIA: Date = date!(2026 - 01 - 12);

fn of(n: u128, atividade: &Atividade, minutes: u16) -> ApontamentoRecord {
    ApontamentoRecord { minutos: minutos(minutes), ..entry(n, atividade) }
}

fn day_full(restantes: u16) -> RefusalReason {
    RefusalReason::DayFull { data: DIA, restantes }
}

/// The minutes of a person on a day.
async fn sum(db: &Repositories, usuario: &str, data: Date) -> u64 {
    let usuario = Some(UsuarioRef::Id(usuario.to_owned()));
    let filtro = ApontamentoFiltro { de: Some(data), ate: Some(data), usuario, ..ApontamentoFiltro::default() };
    db.apontamentos.totals(filtro).await.unwrap().minutos
}

/// 24:00 fit, one minute more does not. Other persons and days have their own limit.
pub async fn day_takes_24_hours_and_not_one_minute_more(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let maria = entry(1, &atividade).usuario.id;
    given(db, vec![of(1, &atividade, 1000)]).await;

    let error = db.apontamentos.insert_all(vec![of(2, &atividade, 441)], None).await.unwrap_err();
    assert_eq!(reasons(error), [(Some(0), day_full(440))]);
    given(db, vec![of(3, &atividade, 440)]).await;
    let error = db.apontamentos.insert_all(vec![of(4, &atividade, 1)], None).await.unwrap_err();
    assert_eq!(reasons(error), [(Some(0), day_full(0))]);

    let rui = Usuario { id: "rui".to_owned(), display_name: "Rui".to_owned(), email: None };
    let other_day = ApontamentoRecord { data: date!(2026 - 01 - 13), ..of(6, &atividade, 1440) };
    given(db, vec![ApontamentoRecord { usuario: rui, ..of(5, &atividade, 1440) }, other_day]).await;
    assert_eq!(sum(db, &maria, DIA).await, 1440);
}

/// The items of one request count together, in their order.
pub async fn day_limit_counts_the_items_of_one_request(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let maria = entry(1, &atividade).usuario.id;
    let records = vec![of(1, &atividade, 800), of(2, &atividade, 600), of(3, &atividade, 41), of(4, &atividade, 40)];

    let error = db.apontamentos.insert_all(records, None).await.unwrap_err();

    assert_eq!(reasons(error), [(Some(2), day_full(40)), (Some(3), day_full(0))]);
    assert_eq!(sum(db, &maria, DIA).await, 0);
    given(db, vec![of(1, &atividade, 800), of(2, &atividade, 600), of(3, &atividade, 40)]).await;
    assert_eq!(sum(db, &maria, DIA).await, 1440);
}

/// An update may use what is left, also on another day. Less time is always allowed.
pub async fn day_limit_holds_for_updates(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let maria = entry(1, &atividade).usuario.id;
    let other_day = ApontamentoRecord { data: date!(2026 - 01 - 13), ..of(3, &atividade, 100) };
    let stored = given(db, vec![of(1, &atividade, 1000), of(2, &atividade, 400), other_day]).await;
    let update = async |n: usize, patch| db.apontamentos.update(stored[n].id, &maria, patch, later(50)).await;
    let minutes = |n| ApontamentoPatch { minutos: Some(minutos(n)), ..ApontamentoPatch::default() };
    let to_day = |n, data| ApontamentoPatch { data: Some(data), ..minutes(n) };

    assert_eq!(reasons(update(1, minutes(441)).await.unwrap_err()), [(None, day_full(440))]);
    let moved = ApontamentoPatch { data: Some(DIA), ..ApontamentoPatch::default() };
    assert_eq!(reasons(update(2, moved).await.unwrap_err()), [(None, day_full(40))]);
    assert_eq!(sum(db, &maria, DIA).await, 1400);
    update(2, to_day(40, DIA)).await.unwrap();
    update(1, minutes(10)).await.unwrap();
    update(1, minutes(400)).await.unwrap();
    assert_eq!((sum(db, &maria, DIA).await, sum(db, &maria, date!(2026 - 01 - 13)).await), (1440, 0));
}

/// Of concurrent requests, as many are stored as fit.
pub async fn concurrent_inserts_keep_the_day_limit(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let maria = entry(1, &atividade).usuario.id;
    // Each half of the day has calls of one item and of two.
    let records = |n: u128| match n % 3 {
        0 => vec![of(2 * n, &atividade, 50), of(2 * n + 1, &atividade, 50)],
        _ => vec![of(2 * n, &atividade, 100)],
    };
    let calls = (1..=24).map(|n| db.apontamentos.insert_all(records(n), None));

    let results = join_all(calls.collect()).await;

    let stored = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!((stored, sum(db, &maria, DIA).await), (14, 1400));
    for refused in results.into_iter().filter_map(Result::err) {
        assert!(matches!(&refused, Error::Refused(reasons) if !reasons.is_empty()), "{refused:?}");
    }
}

/// A refused entry does not fit, also if its transaction had another one that does not fit.
pub async fn concurrent_inserts_are_refused_only_if_they_do_not_fit(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let maria = entry(1, &atividade).usuario.id;
    let records: Vec<_> = (1..=24).map(|n| of(n.into(), &atividade, if n % 4 == 0 { 1400 } else { 7 * n })).collect();
    let calls = records.iter().map(|record| db.apontamentos.insert_all(vec![record.clone()], None));

    let results = join_all(calls.collect()).await;

    let total = sum(db, &maria, DIA).await;
    let (stored, refused): (Vec<_>, Vec<_>) = records.iter().zip(&results).partition(|(_, result)| result.is_ok());
    assert_eq!(stored.iter().map(|(record, _)| u64::from(record.minutos.get())).sum::<u64>(), total);
    assert!(total <= 1440 && !refused.is_empty(), "{total}");
    for (record, result) in refused {
        assert!(1440 < total + u64::from(record.minutos.get()), "{total} {record:?} {result:?}");
    }
}

/// Concurrent updates and inserts together keep it as well.
pub async fn concurrent_updates_keep_the_day_limit(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let maria = entry(1, &atividade).usuario.id;
    let stored = given(db, (1..=12).map(|n| of(n, &atividade, 10)).collect()).await;
    let longer = ApontamentoPatch { minutos: Some(minutos(310)), ..ApontamentoPatch::default() };

    let updates = stored.iter().map(|row| db.apontamentos.update(row.id, &maria, longer.clone(), later(50)));
    let results = join_all(updates.collect()).await;

    let applied = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!((applied, sum(db, &maria, DIA).await), (4, 4 * 310 + 8 * 10));
}

/// Requests for the same days in different orders do not block each other for ever.
pub async fn concurrent_requests_for_several_days_all_end(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let days = [date!(2026 - 01 - 12), date!(2026 - 01 - 13), date!(2026 - 01 - 14)];
    let records = |n: u128| {
        let mut records: Vec<_> =
            (0..).zip(days).map(|(day, data)| ApontamentoRecord { data, ..of(10 * n + day, &atividade, 10) }).collect();
        if n.is_multiple_of(2) {
            records.reverse();
        }
        records
    };

    let results = join_all((1..=16).map(|n| db.apontamentos.insert_all(records(n), None)).collect()).await;

    assert!(results.iter().all(Result::is_ok), "{results:?}");
}
