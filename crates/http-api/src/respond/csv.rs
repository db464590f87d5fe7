//! CSV documents (RFC 4180) for spreadsheets, written batch by batch while the client reads them. Memory use does not depend
//! on the number of rows, and no database connection waits for a slow client.

use std::iter::Empty;

use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue, VARY};
use actix_web::{HttpResponse, HttpResponseBuilder};
use apistos::ApiComponent;
use csv::{Terminator, WriterBuilder};
use domain::{Batches, Error};
use serde::Serialize;

use super::row_stream::RowStream;
use crate::error::ApiError;
use crate::extract::part::fields;

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// Characters that start a formula at the beginning of a cell, in some locales also in their full-width form
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
const FORMULA_TRIGGERS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Characters that start a new cell or row for a reader with another separator or without support for quotes.
const CELL_BOUNDARIES: [char; 5] = [',', ';', '\t', '\r', '\n'];
/// Characters besides white space that readers ignore in front of a formula: quotes and zero-width characters.
const IGNORED_PREFIX_CHARS: [char; 4] = ['"', '\u{200b}', '\u{2060}', '\u{feff}'];

/// A row of a CSV document. Its fields are the columns.
pub trait CsvRow: Serialize + ApiComponent + Sized + 'static {
    /// Applies `escape` to each text that a user can choose.
    #[must_use]
    fn map_texts(self, escape: fn(String) -> String) -> Self;

    /// Writes numbers for a document with that separator.
    #[must_use]
    fn for_separator(self, _separator: u8) -> Self {
        self
    }
}

/// Returns a decimal number for a document with `separator`: a spreadsheet that expects `;` expects a decimal comma.
#[must_use]
pub fn decimal(text: &str, separator: u8) -> String {
    if separator == b';' { text.replace('.', ",") } else { text.to_owned() }
}

/// How a CSV document is written.
#[derive(Debug, Clone, Copy)]
pub struct CsvOptions {
    /// Whether it starts with a byte order mark.
    pub bom: bool,
    /// The separator of columns.
    pub separator: u8,
}

/// Returns the response with all rows of `batches`, as an attachment.
///
/// # Errors
/// Those of the first batch. If a later batch fails, the connection is aborted.
pub async fn csv_response<B, R>(
    mut batches: B,
    options: CsvOptions,
    disposition: &'static str,
) -> Result<HttpResponse, ApiError>
where
    B: Batches + 'static,
    R: From<B::Row> + CsvRow,
{
    let CsvOptions { bom, separator } = options;
    let first = batches.next().await?.unwrap_or_default();
    let rest = batches.has_more().then_some(batches);
    let mut head = if bom { BOM.to_vec() } else { Vec::new() };
    write_record(separator, &*fields::<R>(), &mut head)?;
    let write = move |row, text: &mut Vec<u8>| {
        write_record(separator, R::from(row).map_texts(escape_cell).for_separator(separator), text)
    };
    RowStream::new(first, rest, Box::new(write), Vec::new()).respond(attachment(disposition), head)
}

fn attachment(disposition: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((CONTENT_DISPOSITION, HeaderValue::from_static(disposition)))
        .append_header((VARY, HeaderValue::from_static("accept")));
    response
}

/// Returns the response with a table whose columns depend on the request. `cells` returns the cells of a row, and each one is
/// escaped.
///
/// # Errors
/// If a row cannot be serialized.
pub fn csv_table<T: 'static>(
    columns: &[&str],
    rows: Vec<T>,
    cells: fn(T, u8) -> Vec<String>,
    options: CsvOptions,
    disposition: &'static str,
) -> Result<HttpResponse, ApiError> {
    let CsvOptions { bom, separator } = options;
    let mut head = if bom { BOM.to_vec() } else { Vec::new() };
    write_record(separator, columns, &mut head)?;
    let write = move |row, text: &mut Vec<u8>| {
        write_record(separator, cells(row, separator).into_iter().map(escape_cell).collect::<Vec<_>>(), text)
    };
    RowStream::new(rows, None::<Empty<T>>, Box::new(write), Vec::new()).respond(attachment(disposition), head)
}

/// Appends a record to `text`.
fn write_record(separator: u8, record: impl Serialize, text: &mut Vec<u8>) -> Result<(), Error> {
    let mut writer =
        WriterBuilder::new().delimiter(separator).terminator(Terminator::CRLF).has_headers(false).from_writer(text);
    writer.serialize(record).and_then(|()| writer.flush().map_err(Into::into)).map_err(Error::internal)
}

/// Inserts an apostrophe before each character that a reader with any separator could take for the start of a formula.
fn escape_cell(text: String) -> String {
    if !text.contains(FORMULA_TRIGGERS) {
        return text;
    }
    let (mut escaped, mut is_start) = (String::with_capacity(text.len() + 1), true);
    for c in text.chars() {
        if is_start && FORMULA_TRIGGERS.contains(&c) {
            escaped.push('\'');
        }
        escaped.push(c);
        let is_ignored = c.is_whitespace() || c.is_control() || IGNORED_PREFIX_CHARS.contains(&c);
        is_start = CELL_BOUNDARIES.contains(&c) || is_start && is_ignored;
    }
    escaped
}

/// Returns a document with the example of the schema of `R`, for the OpenAPI description.
pub fn csv_example<R: CsvRow>() -> Option<String> {
    let (_, apistos::reference_or::ReferenceOr::Object(schema)) = R::schema()? else { return None };
    // Schema generation for OpenAPI 3.0 moves the example out of the metadata.
    let extensions = schema.into_object().extensions;
    let example = extensions.get("example")?;
    let columns = fields::<R>();
    let cells: Vec<_> = columns.iter().map(|column| example.get(column)).collect();
    let mut text = Vec::new();
    write_record(b',', &*columns, &mut text).and_then(|()| write_record(b',', cells, &mut text)).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_cell_starts_no_formula_with_any_separator() {
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
        let rows = || texts.map(|text| ("id", escape_cell(text.to_owned()), true));
        for separator in [b',', b';'] {
            let mut bytes = Vec::new();
            for row in rows() {
                write_record(separator, row, &mut bytes).unwrap();
            }
            for (read, is_quoted) in
                [(b',', true), (b';', true), (b'\t', true), (b',', false), (b';', false), (b'\t', false)]
            {
                let mut reader = csv::ReaderBuilder::new();
                let reader = reader.delimiter(read).quoting(is_quoted).has_headers(false).flexible(true);
                for record in reader.from_reader(&*bytes).byte_records() {
                    for cell in &record.unwrap() {
                        let cell = std::str::from_utf8(cell).unwrap();
                        let shown = cell.trim_matches(|c: char| c.is_whitespace() || IGNORED_PREFIX_CHARS.contains(&c));
                        assert!(!shown.starts_with(FORMULA_TRIGGERS), "{cell:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn cell_without_formula_is_unchanged() {
        for text in ["", "a-b=c", "1,5 + 2", "ana@exemplo.br", "a; b", "fim."] {
            assert_eq!(escape_cell(text.to_owned()), text);
        }
        assert_eq!(escape_cell("a\n- b".to_owned()), "a\n'- b");
    }
}
