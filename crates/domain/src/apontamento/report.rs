//! The lines of a report of hours, collected in bounded memory.

use super::query::{Chave, LinhaDeHoras};
use crate::{Error, RefusalReason};

/// The largest size in bytes of the texts of a report. 10,000 lines of three groupings have 200 bytes each.
pub const REPORT_BYTES: usize = 2 * 1024 * 1024;

/// Collects the lines of a report while a database returns them. Lines beyond the limits are dropped one by one, so a
/// repository reads any report in bounded memory.
#[derive(Debug)]
pub struct ReportBuilder {
    lines: Vec<LinhaDeHoras>,
    bytes: usize,
    max: usize,
    error: Option<Error>,
}

impl ReportBuilder {
    /// Returns a report without lines, of at most `max` ones.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { lines: Vec::new(), bytes: 0, max, error: None }
    }

    /// Adds a line, or the error with which it was read. The first error is kept.
    pub fn push(&mut self, line: Result<LinhaDeHoras, Error>) {
        if self.error.is_some() {
            return;
        }
        match line {
            Ok(_) if self.lines.len() == self.max => self.fail(RefusalReason::TooManyLines { max: self.max }.into()),
            Ok(line) => {
                self.bytes = self.bytes.saturating_add(line.chaves.iter().map(text_bytes).sum());
                self.lines.push(line);
                if REPORT_BYTES < self.bytes {
                    self.fail(RefusalReason::ReportTooLarge.into());
                }
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.lines = Vec::new();
        self.error = Some(error);
    }

    /// Returns the lines.
    ///
    /// # Errors
    /// `Refused` with `TooManyLines`, or with `ReportTooLarge` if their texts exceed [`REPORT_BYTES`]; the first error of a
    /// line.
    pub fn finish(self) -> Result<Vec<LinhaDeHoras>, Error> {
        self.error.map_or(Ok(self.lines), Err)
    }
}

fn text_bytes(chave: &Chave) -> usize {
    match chave {
        Chave::Projeto(_, nome) => nome.as_str().len(),
        Chave::Atividade(_, nome) => nome.as_str().len(),
        Chave::Usuario(id, nome) => id.len() + nome.len(),
        Chave::WorkItem(_, titulo) => titulo.as_ref().map_or(0, String::len),
        Chave::Dia(_) | Chave::Semana(_) | Chave::Mes(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::Totais;

    fn line(nome: usize) -> LinhaDeHoras {
        let dia = date!(2026 - 01 - 12);
        let chaves = vec![Chave::Usuario(String::new(), "a".repeat(nome)), Chave::Dia(dia)];
        LinhaDeHoras { chaves, totais: Totais { apontamentos: 1, minutos: 60 }, primeira_data: dia, ultima_data: dia }
    }

    fn built(max: usize, lines: Vec<Result<LinhaDeHoras, Error>>) -> Result<Vec<LinhaDeHoras>, Error> {
        let mut report = ReportBuilder::new(max);
        for line in lines {
            report.push(line);
        }
        report.finish()
    }

    #[test]
    fn report_within_its_limits_has_every_line() {
        assert_eq!(built(0, vec![]).unwrap(), []);
        let lines = [line(1), line(REPORT_BYTES - 1)];
        assert_eq!(built(2, Vec::from(lines.clone().map(Ok))).unwrap(), lines);
    }

    #[test]
    fn report_beyond_a_limit_is_refused() {
        let reason = |error| match error {
            Error::Refused(refusals) => refusals.into_iter().next().unwrap().reason,
            other => panic!("{other}"),
        };
        let lines = || vec![Ok(line(1)), Ok(line(2)), Ok(line(3))];
        assert_eq!(reason(built(2, lines()).unwrap_err()), RefusalReason::TooManyLines { max: 2 });
        let large = vec![Ok(line(REPORT_BYTES)), Ok(line(1)), Ok(line(1))];
        assert_eq!(reason(built(9, large).unwrap_err()), RefusalReason::ReportTooLarge);
        let broken = vec![Err(Error::internal("first")), Err(Error::Forbidden)];
        assert!(matches!(built(9, broken), Err(Error::Internal(_))));
    }
}
