//! The head of a request before the dispatcher sees it.

/// The size that a head must reach before the dispatcher rejects it (`MAX_BUFFER_SIZE` of actix-http).
pub const MAX_SIZE: usize = 131_072;

/// Returns the length of the head at the start of `bytes`, with its empty line. The first `searched` bytes have no end.
pub fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    // The end may begin with the last two bytes that were searched.
    let from = searched.saturating_sub(2);
    let lines = bytes.get(from..)?.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    lines.map(|(index, _)| from + index + 1).find_map(|next| match bytes.get(next..)? {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

/// Returns the length of the empty lines before a request, which servers ignore (RFC 9112 §2.2).
pub fn empty_lines(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] = rest {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// Returns whether no further bytes make a request of HTTP/1 of `bytes`, for example because a client speaks TLS.
pub fn is_hopeless(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~\r".contains(byte);
    let is_whole = line.len() < bytes.len();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_http = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
    !method.iter().all(is_token) || (is_whole && !is_http)
}

/// Blanks every request for an upgrade: a server that does not support it ignores it (RFC 9110 §7.8).
pub fn ignore_upgrade(head: &mut [u8]) {
    for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at_mut(colon);
        let Some(value) = value.get_mut(1..) else { continue };
        if name.eq_ignore_ascii_case(b"upgrade") {
            blank(value);
        } else if name.eq_ignore_ascii_case(b"connection") {
            let options = value.split_mut(|byte| *byte == b',');
            options.filter(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade")).for_each(blank);
        }
    }
}

/// Replaces everything but the end of a line by spaces.
fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\r').for_each(|byte| *byte = b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_after_the_first_empty_line() {
        for (head, rest) in [
            ("GET / HTTP/1.1\r\n\r\n", "GET"),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", "\r\n\r\n"),
            ("GET / HTTP/1.1\nA: b\n\n", ""),
            ("GET / HTTP/1.1\r\nA: b\n\r\n", "x"),
        ] {
            let bytes = format!("{head}{rest}");
            for searched in 0..head.len() {
                assert_eq!(end(bytes.as_bytes(), searched), Some(head.len()), "{head:?} {searched}");
            }
        }
        for head in ["", "\r", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r", "A\r\rB"] {
            assert_eq!(end(head.as_bytes(), 0), None, "{head:?}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_counted() {
        for (bytes, expected) in [("", 0), ("GET", 0), ("\r", 0), ("\r\n\nGET", 3), ("\rGET", 0)] {
            assert_eq!(empty_lines(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn hopeless_bytes_are_those_of_other_protocols() {
        for bytes in
            ["\u{16}\u{3}\u{1}", "GET / HTTP/2.0\r\n", "hello\r\n", "GET /\n", "G\u{e9}T", "GET / HTTP/1.1 \r\n"]
        {
            assert!(is_hopeless(bytes.as_bytes()), "{bytes:?}");
        }
        for bytes in ["", "G", "GET", "GET /\u{e9}", "GET / HTTP/1.1", "GET / HTTP/1.0\r\n", "M-SEARCH * HTTP/1.1\nA"] {
            assert!(!is_hopeless(bytes.as_bytes()), "{bytes:?}");
        }
    }

    #[test]
    fn upgrade_is_blanked_and_nothing_else() {
        let mut head = b"GET /upgrade HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings,close\r\nUpgrade: h2c\r\nX-Upgrade: upgrade\r\n\r\n".to_vec();
        ignore_upgrade(&mut head);
        let expected = "GET /upgrade HTTP/1.1\r\nConnection:        , HTTP2-Settings,close\r\nUpgrade:    \r\nX-Upgrade: upgrade\r\n\r\n";
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }
}
