//! Parses `.env` by the rules of python-dotenv, which existing files were written for.
//!
//! `dotenvy` reads several lines differently (ADR 0071 has the table), among them unquoted passwords with `\`, `$` or quotes,
//! and its errors contain the text of the line.
//!
//! - `NAME=value`, `export` in front allowed, blank lines and `# comments` ignored, the last of equal names wins.
//! - Unquoted: the rest of the line, trimmed, up to a `#` after white space. Nothing else is special.
//! - `'…'`: only `\'` and `\\` are escapes. `"…"`: also `\n` and its kin. Both may span lines.
//! - `${NAME}` is refused, because it is not expanded; within single quotes it is literal.

/// The number of a line, counted from 1, and its error. The text is left out, because it may contain a secret.
pub(super) type BadLine = (usize, &'static str);

const MALFORMED: &str = "is not NAME=value";
const UNCLOSED: &str = "opens a quote that is never closed";
const TRAILING: &str = "has something after the closing quote";
const EXPANSION: &str =
    "has ${…}, which is not expanded: write it out, or put it in single quotes if it is meant literally";

/// Returns the variables in order, and the lines that are invalid.
pub(super) fn parse(text: &str) -> (Vec<(String, String)>, Vec<BadLine>) {
    let text = text.trim_start_matches('\u{feff}');
    let (mut variables, mut bad) = (Vec::new(), Vec::new());
    let (mut rest, mut number) = (text, 1);
    while !rest.is_empty() {
        let after = match entry(rest) {
            Ok((variable, after)) => {
                variables.extend(variable);
                after
            }
            Err(reason) => {
                bad.push((number, reason));
                line_and_rest(rest).1
            }
        };
        number += rest.get(..rest.len() - after.len()).map_or(0, |read| read.matches('\n').count());
        rest = after;
    }
    (variables, bad)
}

type Variable = (String, String);

/// Parses the entry at the start of `text`, none for a blank line or a comment, and returns the rest.
fn entry(text: &str) -> Result<(Option<Variable>, &str), &'static str> {
    let (line, after) = line_and_rest(text);
    if line.trim().is_empty() || line.trim_start().starts_with('#') {
        return Ok((None, after));
    }
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.contains('\n')).ok_or(MALFORMED)?;
    let name = name.trim();
    let name = name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(name, str::trim_start);
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '#')) {
        return Err(MALFORMED);
    }
    let (value, after) = match value.trim_start_matches([' ', '\t']) {
        quoted if quoted.starts_with(['\'', '"']) => quoted_value(quoted)?,
        _ => unquoted_value(value)?,
    };
    Ok((Some((name.to_owned(), value)), after))
}

fn unquoted_value(text: &str) -> Result<(String, &str), &'static str> {
    let (line, after) = line_and_rest(text);
    let comment =
        line.match_indices('#').map(|(at, _)| line.split_at(at).0).find(|before| before.ends_with([' ', '\t']));
    let value = comment.unwrap_or(line).trim();
    if value.contains("${") { Err(EXPANSION) } else { Ok((value.to_owned(), after)) }
}

fn quoted_value(text: &str) -> Result<(String, &str), &'static str> {
    let mut chars = text.chars();
    let quote = chars.next();
    let double = quote == Some('"');
    let mut value = String::new();
    loop {
        match chars.next().ok_or(UNCLOSED)? {
            c if Some(c) == quote => break,
            '$' if double && chars.as_str().starts_with('{') => return Err(EXPANSION),
            '\\' => match (chars.next().ok_or(UNCLOSED)?, double) {
                (c @ ('\\' | '\''), _) | (c @ '"', true) => value.push(c),
                ('a', true) => value.push('\u{7}'),
                ('b', true) => value.push('\u{8}'),
                ('f', true) => value.push('\u{c}'),
                ('n', true) => value.push('\n'),
                ('r', true) => value.push('\r'),
                ('t', true) => value.push('\t'),
                ('v', true) => value.push('\u{b}'),
                (c, _) => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    let (trailing, after) = line_and_rest(chars.as_str());
    let trailing = trailing.trim();
    if trailing.is_empty() || trailing.starts_with('#') { Ok((value, after)) } else { Err(TRAILING) }
}

fn line_and_rest(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_returns_values_as_python_dotenv_does() {
        let cases = [
            ("A=b", "b"),
            ("\u{feff}A=b", "b"),
            ("export A=b", "b"),
            ("export\tA = b ", "b"),
            ("  A  =  b c  \r\n", "b c"),
            ("A=", ""),
            ("A=  # nothing", ""),
            ("A=b # comment", "b"),
            ("A=b\t#c", "b"),
            ("A=b#c", "b#c"),
            ("A=#b", "#b"),
            ("A=b=c==", "b=c=="),
            ("A=0123", "0123"),
            ("A=1e5", "1e5"),
            ("A=[x]", "[x]"),
            ("A={x = 1}", "{x = 1}"),
            ("A=true", "true"),
            (r#"A=p\a$s$$w\n'o\"r`d"#, r#"p\a$s$$w\n'o\"r`d"#),
            (r#"A=b"c"d"#, r#"b"c"d"#),
            ("A=' b '", " b "),
            ("A=\" b \" # comment", " b "),
            ("A='b # c'", "b # c"),
            ("A='${b} $c'", "${b} $c"),
            ("A=\"$b\"", "$b"),
            (r#"A='it\'s \\ "\n"'"#, r#"it's \ "\n""#),
            (r#"A="say \"hi\"\t\\ \d 'x'""#, "say \"hi\"\t\\ \\d 'x'"),
            ("A='b\n c'", "b\n c"),
            ("A=\"b\r\nc\"\r\n", "b\r\nc"),
            ("A=senha-é-ção", "senha-é-ção"),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text), (vec![("A".to_owned(), value.to_owned())], vec![]), "{text:?}");
        }
    }

    #[test]
    fn parse_with_a_bad_line_returns_its_number_and_the_other_values() {
        let cases = [
            ("A=1\nsecret\nB=2", 2, MALFORMED),
            ("A=1\n=secret\nB=2", 2, MALFORMED),
            ("A=1\n  secret word=x\nB=2", 2, MALFORMED),
            ("A='1'\n\n# c\nC='secret\nB=2", 4, UNCLOSED),
            ("A=1\nC=\"secret\\\nB=2", 2, UNCLOSED),
            ("A='\n1' x\nB=2", 1, TRAILING),
            ("A=1\nC=${secret}\nB=2", 2, EXPANSION),
            ("A='1\n'\nC=\"x${secret}\"\nB=2", 3, EXPANSION),
        ];
        for (text, line, reason) in cases {
            let (variables, bad) = parse(text);
            assert!(bad.contains(&(line, reason)), "{text:?}: {bad:?}");
            assert!(variables.contains(&("B".to_owned(), "2".to_owned())), "{text:?}: {variables:?}");
        }
    }

    #[test]
    fn parse_of_blank_lines_and_comments_returns_nothing() {
        for text in ["", "\n\n", " \t\r\n", "# A=b", "  # 'unclosed\n\n"] {
            assert_eq!(parse(text), (vec![], vec![]), "{text:?}");
        }
    }

    #[test]
    fn parse_of_equal_names_keeps_their_order() {
        let (variables, _) = parse("A=1\nA=2\n");

        assert_eq!(variables.last(), Some(&("A".to_owned(), "2".to_owned())));
    }
}
