//! A list as CSV (RFC 4180), for spreadsheets. It is written batch by batch while the client reads it, so that memory does
//! not grow with the rows and no connection of the database waits for a slow reader.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue, VARY};
use actix_web::web::Data;
use csv::{Terminator, WriterBuilder};
use domain::{Atividade, AtividadeQuery, Atividades, Batches, Error, Limit};
use serde::Serialize;

use super::query::Listagem;
use super::response::AtividadeResponse;
use crate::error::ApiError;
use crate::respond::row_stream::RowStream;

const COLUMNS: [&str; 9] =
    ["id", "nome", "descricao", "ativo", "id_projeto", "nome_projeto", "criado_por", "criado_em", "atualizado_em"];
const BOM: &[u8] = b"\xEF\xBB\xBF";
/// What a spreadsheet would run as a formula at the beginning of a cell, in some languages also in the width of their
/// letters (<https://owasp.org/www-community/attacks/CSV_Injection>).
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What begins another cell or row for a reader that takes another separator, or does not know how a text is quoted.
const BREAK: [char; 5] = [',', ';', '\t', '\r', '\n'];
/// What readers pass over in front of a formula and that is no white space: quotes, and characters without a width.
const PASSED_OVER: [char; 4] = ['"', '\u{200b}', '\u{2060}', '\u{feff}'];

/// All that match, or the one page that the request bounds.
///
/// # Errors
/// Those of the first batch; later ones abort the connection, so that no client takes a part for the whole.
pub async fn export(atividades: Data<Atividades>, listagem: Listagem) -> Result<HttpResponse, ApiError> {
    let Listagem { query, has_limit, bom, separador, .. } = listagem;
    let limit = if has_limit { query.limit } else { Limit::LARGEST };
    let mut batches = atividades.exportar(AtividadeQuery { limit, ..query }, !has_limit);
    let first = batches.next().await?.unwrap_or_default();
    let rest = batches.has_more().then_some(batches);
    let mut head = if bom { BOM.to_vec() } else { Vec::new() };
    write(separador, COLUMNS, &mut head)?;
    let row = move |row, text: &mut Vec<u8>| write(separador, harmless(row), text);
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"atividades.csv\"")))
        .append_header((VARY, HeaderValue::from_static("accept")));
    RowStream::new(first, rest, Box::new(row), Vec::new()).respond(response, head)
}

/// Adds a row, for each cell of which a name in [`COLUMNS`] stands.
fn write(separador: u8, row: impl Serialize, text: &mut Vec<u8>) -> Result<(), Error> {
    let mut writer =
        WriterBuilder::new().delimiter(separador).terminator(Terminator::CRLF).has_headers(false).from_writer(text);
    writer.serialize(row).and_then(|()| writer.flush().map_err(Into::into)).map_err(Error::internal)
}

/// An atividade whose texts every spreadsheet takes for texts.
fn harmless(atividade: Atividade) -> AtividadeResponse {
    let row = AtividadeResponse::from(atividade);
    AtividadeResponse {
        nome: as_text(row.nome),
        descricao: row.descricao.map(as_text),
        nome_projeto: row.nome_projeto.map(as_text),
        criado_por: row.criado_por.map(as_text),
        ..row
    }
}

/// The text with an apostrophe before all that could begin a formula, whichever separator its reader takes.
fn as_text(text: String) -> String {
    if !text.contains(FORMULA) {
        return text;
    }
    let (mut safe, mut begins) = (String::with_capacity(text.len() + 1), true);
    for c in text.chars() {
        if begins && FORMULA.contains(&c) {
            safe.push('\'');
        }
        safe.push(c);
        begins = BREAK.contains(&c) || begins && (c.is_whitespace() || c.is_control() || PASSED_OVER.contains(&c));
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula_whichever_separator_its_reader_takes() {
        let texts = [
            "=1",
            "+1",
            "-1",
            "@A",
            "＝1",
            "＋1",
            "－1",
            "＠A",
            " =1",
            "\u{a0}\u{3000}=1",
            "\u{feff}=1",
            "\"=1\"",
            "a;=1",
            "a,=1",
            "a\t=1",
            "a\r=1",
            "a\n=1",
            "a\r\n=1",
            "a; =1",
            "a;\"=1\"",
            "a\";\"=1",
            ";;=1",
            "a;＝1",
            "\"a\"\n\" =1",
            "\t-1",
        ];
        let rows = || texts.map(|text| ("id", as_text(text.to_owned()), true));
        for written in [b',', b';'] {
            let mut bytes = Vec::new();
            for row in rows() {
                write(written, row, &mut bytes).unwrap();
            }
            for (read, is_quoted) in
                [(b',', true), (b';', true), (b'\t', true), (b',', false), (b';', false), (b'\t', false)]
            {
                let mut reader = csv::ReaderBuilder::new();
                let reader = reader.delimiter(read).quoting(is_quoted).has_headers(false).flexible(true);
                for record in reader.from_reader(&*bytes).byte_records() {
                    for cell in &record.unwrap() {
                        let cell = std::str::from_utf8(cell).unwrap();
                        let shown = cell.trim_matches(|c: char| c.is_whitespace() || PASSED_OVER.contains(&c));
                        assert!(!shown.starts_with(FORMULA), "{cell:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_begins_no_formula_stays_as_it_is() {
        for text in ["", "a-b=c", "1,5 + 2", "ana@exemplo.br", "a; b", "fim."] {
            assert_eq!(as_text(text.to_owned()), text);
        }
        assert_eq!(as_text("a\n- b".to_owned()), "a\n'- b");
    }
}
