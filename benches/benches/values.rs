//! Reading and writing values, as each request does it.
#![allow(missing_docs, reason = "criterion makes a public function of a group")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::testing::atividade;
use domain::{AtividadeCampo, AtividadeSortKey, Cursor, Descricao, NomeAtividade, Ordem};

const NOME: &str = " Revisão nº 42 do contrato ";
const DESCRICAO: &str = "Conferir cláusulas, prazos e valores com o jurídico antes de enviar ao cliente";

fn validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validation");
    group.bench_function("nome", |bencher| bencher.iter(|| NomeAtividade::parse(black_box(NOME))));
    group.bench_function("descricao", |bencher| bencher.iter(|| Descricao::parse(black_box(DESCRICAO).to_owned())));
    group.finish();
}

fn cursor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cursor");
    let read = Cursor::<AtividadeSortKey>::parse;
    for (name, campo) in [("criado_em", AtividadeCampo::CriadoEm), ("nome", AtividadeCampo::Nome)] {
        let place = Cursor::of(&atividade(NOME), Ordem { campo, decrescente: false });
        let text = place.to_text();
        group.bench_function(format!("write {name}"), |bencher| bencher.iter(|| black_box(&place).to_text()));
        group.bench_function(format!("read {name}"), |bencher| bencher.iter(|| read(black_box(&text))));
    }
    group.finish();
}

criterion_group!(benches, validation, cursor);
criterion_main!(benches);
