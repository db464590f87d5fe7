//! Listing, counting and summing time entries.

use time::macros::date;
use time::{Date, Duration, Month};

use super::apontamentos::{entry, given, minutos};
use super::{Repositories, given_atividade, given_projeto, record};
use crate::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoQuery, ApontamentoRecord, Atividade, AtividadeId, Chave,
    Cursor, EscritaFiltro, Limit, LinhaDeHoras, ProjetoRef, RefusalReason, Skip, Totais, Usuario, UsuarioRef,
    WorkItemId, WorkItemVisto, monday_of,
};

fn pessoa(id: &str, email: Option<&str>) -> Usuario {
    Usuario { id: id.to_owned(), display_name: format!("Nome de {id}"), email: email.map(str::to_owned) }
}

fn work_item(id: i64) -> WorkItemId {
    WorkItemId::new(id).unwrap()
}

/// Entries that differ in everything a filter can name. Returns them in the order of the list, and the two atividades.
async fn given_mixed(db: &Repositories) -> (Vec<Apontamento>, [Atividade; 2]) {
    let a = given_atividade(db).await;
    let b = db.atividades.insert(record(2, a.id_projeto)).await.unwrap();
    let outro = given_projeto(db, 9, "Outro").await;
    let visto = Some(WorkItemVisto { titulo: "Tela".to_owned(), tipo: "Task".to_owned() });
    let ana = || pessoa("ana", Some("Ana.Lima@exemplo.br"));
    let rui = || pessoa("rui", None);
    let entry = |n, atividade: &Atividade, data: Date, usuario: Usuario, minutes: u16| ApontamentoRecord {
        data,
        usuario,
        minutos: minutos(minutes),
        ..entry(n, atividade)
    };
    let records = vec![
        entry(1, &a, date!(2026 - 12 - 31), ana(), 60),
        entry(2, &b, date!(2027 - 01 - 01), ana(), 30),
        ApontamentoRecord { projeto: ProjetoRef(outro.id.0), ..entry(3, &a, date!(2027 - 01 - 01), rui(), 15) },
        ApontamentoRecord {
            work_item: work_item(7),
            work_item_visto: visto,
            ..entry(4, &a, date!(2026 - 12 - 28), rui(), 20)
        },
        entry(5, &a, date!(2024 - 02 - 29), ana(), 5),
    ];
    let mut stored = given(db, records).await;
    stored[0] = db.apontamentos.find(stored[0].id).await.unwrap().unwrap();
    stored.sort_by_key(|row| std::cmp::Reverse((row.data, row.criado_em, row.id)));
    (stored, [a, b])
}

async fn listed(db: &Repositories, filtro: ApontamentoFiltro) -> Vec<Apontamento> {
    let query = ApontamentoQuery { filtro: filtro.clone(), ..ApontamentoQuery::default() };
    let items = db.apontamentos.list(query).await.unwrap().items;
    let minutos = items.iter().map(|row| u64::from(row.minutos.get())).sum();
    let totais = Totais { apontamentos: u64::try_from(items.len()).unwrap(), minutos };
    assert_eq!(db.apontamentos.totals(filtro).await.unwrap(), totais);
    items
}

type Is = fn(&Apontamento) -> bool;

/// Newest date first, then newest. Each filter selects its matches, all together their intersection.
pub async fn apontamento_list_with_filters_returns_matches_of_all_filters(db: &Repositories) {
    let (stored, [a, b]) = given_mixed(db).await;
    let all = ApontamentoFiltro::default;
    let ana = || Some(UsuarioRef::Id("ana".to_owned()));
    let mut cases: Vec<(ApontamentoFiltro, Is)> = vec![
        (all(), |_| true),
        (ApontamentoFiltro { usuario: ana(), ..all() }, |row| row.usuario.id == "ana"),
        (ApontamentoFiltro { usuario: Some(UsuarioRef::Id("ANA".to_owned())), ..all() }, |_| false),
        (ApontamentoFiltro { usuario: Some(UsuarioRef::Email("ana.lima@EXEMPLO.br".to_owned())), ..all() }, |row| {
            row.usuario.id == "ana"
        }),
        (ApontamentoFiltro { usuario: Some(UsuarioRef::Email("rui".to_owned())), ..all() }, |_| false),
        (ApontamentoFiltro { work_item: Some(work_item(7)), ..all() }, |row| row.work_item.get() == 7),
        (ApontamentoFiltro { de: Some(date!(2026 - 12 - 31)), ..all() }, |row| date!(2026 - 12 - 31) <= row.data),
        (ApontamentoFiltro { ate: Some(date!(2026 - 12 - 31)), ..all() }, |row| row.data <= date!(2026 - 12 - 31)),
        (ApontamentoFiltro { de: Some(date!(2024 - 02 - 29)), ate: Some(date!(2024 - 02 - 29)), ..all() }, |row| {
            row.minutos.get() == 5
        }),
        (ApontamentoFiltro { de: Some(date!(2027 - 01 - 02)), ..all() }, |_| false),
        (ApontamentoFiltro { atividade: Some(AtividadeId(super::id(99))), ..all() }, |_| false),
        (ApontamentoFiltro { atividade: Some(b.id), ..all() }, |row| row.minutos.get() == 30),
    ];
    cases.push((ApontamentoFiltro { projeto: Some(ProjetoRef(super::id(9))), ..all() }, |row| row.minutos.get() == 15));
    let everything = ApontamentoFiltro {
        de: Some(date!(2026 - 01 - 01)),
        ate: Some(date!(2026 - 12 - 31)),
        usuario: ana(),
        projeto: Some(ProjetoRef(a.id_projeto.0)),
        atividade: Some(a.id),
        escrita: Some(EscritaFiltro::Desligada),
        work_item: Some(work_item(41)),
    };
    cases.push((everything, |row| row.minutos.get() == 60));

    for (filtro, is_match) in cases {
        let expected: Vec<_> = stored.iter().filter(|row| is_match(row)).cloned().collect();
        assert_eq!(listed(db, filtro.clone()).await, expected, "{filtro:?}");
    }
}

/// Pages cover the list without overlaps, by cursor and by number, also when times are equal.
pub async fn apontamento_list_pages_cover_the_whole_list(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let days = [date!(2026 - 01 - 12), date!(2026 - 01 - 11)];
    let at = |n: u128| ApontamentoRecord {
        data: days[usize::from(n.is_multiple_of(3))],
        criado_em: super::later(i64::try_from(n / 4).unwrap()),
        ..entry(n, &atividade)
    };
    let mut stored = given(db, (1..=20).map(at).collect()).await;
    stored.sort_by_key(|row| std::cmp::Reverse((row.data, row.criado_em, row.id)));
    let limit = Limit::parse(3).unwrap();

    let (mut by_cursor, mut by_skip, mut apos) = (Vec::new(), Vec::new(), None);
    for page in 0..8 {
        let query = ApontamentoQuery { apos, limit, ..ApontamentoQuery::default() };
        let items = db.apontamentos.list(query).await.unwrap().items;
        apos = items.last().map(|last| Cursor::of(last, ()));
        by_cursor.extend(items);
        let skip = Skip::parse(3 * page).unwrap();
        by_skip.extend(
            db.apontamentos.list(ApontamentoQuery { skip, limit, ..ApontamentoQuery::default() }).await.unwrap().items,
        );
    }

    assert_eq!((&by_cursor, &by_skip), (&stored, &stored));
    let until = ApontamentoQuery { ate: Some(Cursor::of(&stored[4], ())), ..ApontamentoQuery::default() };
    assert_eq!(db.apontamentos.list(until).await.unwrap().items, stored[..=4]);
}

/// A page of large rows is cut, and the rest can be read up to its end.
pub async fn apontamento_list_of_large_rows_is_cut(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let large = |n: u128| {
        let usuario = Usuario { id: format!("p{n}"), display_name: "🦀".repeat(20_000), email: None };
        ApontamentoRecord { usuario, ..entry(n, &atividade) }
    };
    let stored = given(db, (1..=12).map(large).collect()).await;

    let batch = db.apontamentos.list(ApontamentoQuery::default()).await.unwrap();

    assert_eq!(batch.items.len(), 6);
    assert_eq!(batch.last, Some(Cursor::of(&stored[0], ())));
}

async fn report(db: &Repositories, agrupar: &[Agrupamento]) -> Vec<(Vec<Chave>, u64, u64)> {
    let linhas = db.apontamentos.report(ApontamentoFiltro::default(), agrupar.to_vec(), 100).await.unwrap();
    let mut linhas: Vec<_> = linhas
        .into_iter()
        .map(|LinhaDeHoras { chaves, totais, .. }| (chaves, totais.minutos, totais.apontamentos))
        .collect();
    linhas.sort_by_key(|(_, minutos, _)| std::cmp::Reverse(*minutos));
    linhas
}

/// Each grouping, at the boundaries of weeks, months and years.
pub async fn report_groups_by_each_key(db: &Repositories) {
    let (_, [a, b]) = given_mixed(db).await;
    let outro = db.projetos.find(crate::ProjetoId(super::id(9))).await.unwrap().unwrap();
    let ana = || Chave::Usuario("ana".to_owned(), "Nome de ana".to_owned());
    let rui = || Chave::Usuario("rui".to_owned(), "Nome de rui".to_owned());
    let projeto = Chave::Projeto(a.id_projeto, a.nome_projeto.clone());
    let lines = |lines: Vec<(Chave, u64, u64)>| -> Vec<_> {
        lines.into_iter().map(|(chave, minutos, n)| (vec![chave], minutos, n)).collect()
    };
    let cases = [
        (Agrupamento::Projeto, vec![(projeto, 115, 4), (Chave::Projeto(outro.id, outro.nome), 15, 1)]),
        (
            Agrupamento::Atividade,
            vec![(Chave::Atividade(a.id, a.nome), 100, 4), (Chave::Atividade(b.id, b.nome), 30, 1)],
        ),
        (Agrupamento::Usuario, vec![(ana(), 95, 3), (rui(), 35, 2)]),
        (
            Agrupamento::WorkItem,
            vec![
                (Chave::WorkItem(work_item(41), None), 110, 4),
                (Chave::WorkItem(work_item(7), Some("Tela".to_owned())), 20, 1),
            ],
        ),
        (
            Agrupamento::Dia,
            vec![
                (Chave::Dia(date!(2026 - 12 - 31)), 60, 1),
                (Chave::Dia(date!(2027 - 01 - 01)), 45, 2),
                (Chave::Dia(date!(2026 - 12 - 28)), 20, 1),
                (Chave::Dia(date!(2024 - 02 - 29)), 5, 1),
            ],
        ),
        (
            Agrupamento::Semana,
            vec![(Chave::Semana(date!(2026 - 12 - 28)), 125, 4), (Chave::Semana(date!(2024 - 02 - 26)), 5, 1)],
        ),
        (
            Agrupamento::Mes,
            vec![
                (Chave::Mes(date!(2026 - 12 - 01)), 80, 2),
                (Chave::Mes(date!(2027 - 01 - 01)), 45, 2),
                (Chave::Mes(date!(2024 - 02 - 01)), 5, 1),
            ],
        ),
    ];
    for (agrupamento, expected) in cases {
        assert_eq!(report(db, &[agrupamento]).await, lines(expected), "{agrupamento:?}");
    }
}

/// Every year from 2000 on has its own boundaries of weeks and months. The database groups by them as the domain does.
pub async fn report_of_weeks_and_months_agrees_with_the_calendar(db: &Repositories) {
    let atividade = given_atividade(db).await;
    let first_days = |year: i32| {
        let around = |month, before: i64, after: i64| {
            let first = Date::from_calendar_date(year, month, 1).unwrap();
            (-before..after).map(move |days| first + Duration::days(days))
        };
        around(Month::January, 4, 7).chain(around(Month::March, 2, 1))
    };
    let mut days: Vec<_> = (2001..=2036).flat_map(first_days).collect();
    days.push(date!(2000 - 02 - 29));
    let records = (1..).zip(&days).map(|(n, data)| ApontamentoRecord { data: *data, ..entry(n, &atividade) });
    let stored = given(db, records.collect()).await;
    let minutes = u64::from(stored[0].minutos.get());

    for (agrupamento, of) in [
        (Agrupamento::Dia, Chave::Dia as fn(Date) -> Chave),
        (Agrupamento::Semana, |data| Chave::Semana(monday_of(data))),
        (Agrupamento::Mes, |data| Chave::Mes(data.replace_day(1).unwrap())),
    ] {
        let mut expected: Vec<(Chave, u64)> = Vec::new();
        for data in &days {
            match expected.iter_mut().find(|(chave, _)| *chave == of(*data)) {
                Some((_, n)) => *n += 1,
                None => expected.push((of(*data), 1)),
            }
        }
        let linhas = db.apontamentos.report(ApontamentoFiltro::default(), vec![agrupamento], 1000).await.unwrap();
        assert_eq!(linhas.len(), expected.len(), "{agrupamento:?}");
        for LinhaDeHoras { chaves, totais, primeira_data, ultima_data } in linhas {
            let n = expected.iter().find(|(chave, _)| chaves == [chave.clone()]).map(|(_, n)| *n);
            assert_eq!(Some(totais.apontamentos), n, "{chaves:?}");
            assert_eq!(totais.minutos, totais.apontamentos * minutes);
            assert_eq!([of(primeira_data), of(ultima_data)], [chaves[0].clone(), chaves[0].clone()]);
        }
    }
}

/// Keys come in the order of the request; filters and the bound hold.
pub async fn report_by_three_keys_is_filtered_and_bounded(db: &Repositories) {
    given_mixed(db).await;
    let (mes, usuario, item) = (Agrupamento::Mes, Agrupamento::Usuario, Agrupamento::WorkItem);
    let ana = Some(UsuarioRef::Id("ana".to_owned()));
    let filtro = ApontamentoFiltro { usuario: ana, de: Some(date!(2026 - 01 - 01)), ..ApontamentoFiltro::default() };

    let mut linhas = db.apontamentos.report(filtro, vec![usuario, mes, item], 100).await.unwrap();

    linhas.sort_by_key(|linha| linha.primeira_data);
    let ana = Chave::Usuario("ana".to_owned(), "Nome de ana".to_owned());
    let item_41 = Chave::WorkItem(work_item(41), None);
    let linha = |mes, data, minutos| LinhaDeHoras {
        chaves: vec![ana.clone(), Chave::Mes(mes), item_41.clone()],
        totais: Totais { apontamentos: 1, minutos },
        primeira_data: data,
        ultima_data: data,
    };
    let expected = [
        linha(date!(2026 - 12 - 01), date!(2026 - 12 - 31), 60),
        linha(date!(2027 - 01 - 01), date!(2027 - 01 - 01), 30),
    ];
    assert_eq!(linhas, expected);
    let dias = async |max| db.apontamentos.report(ApontamentoFiltro::default(), vec![Agrupamento::Dia], max).await;
    assert_eq!(dias(4).await.unwrap().len(), 4);
    let error = dias(3).await.unwrap_err();
    assert_eq!(super::apontamentos::reasons(error), [(None, RefusalReason::TooManyLines { max: 3 })]);
    let none = ApontamentoFiltro { de: Some(date!(2030 - 01 - 01)), ..ApontamentoFiltro::default() };
    assert_eq!(db.apontamentos.report(none, vec![mes], 3).await.unwrap(), []);
}
