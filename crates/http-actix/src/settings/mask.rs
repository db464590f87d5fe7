//! What is shown of a value, wherever settings are shown: no secret, even where none belongs.

/// What stands for a secret.
pub(super) const MASK: &str = "********";

/// The text without the secrets that an address may hold: the user information between `://` and the last `@` of the
/// authority, the query and the fragment. With an `@` anywhere else, the end of a password is unknown and the whole
/// text is masked.
pub(super) fn masked(text: &str) -> String {
    if !text.contains('@') {
        return match text.find(['?', '#']) {
            Some(at) => {
                let (address, rest) = text.split_at(at);
                format!("{address}{}{MASK}", if rest.starts_with('?') { '?' } else { '#' })
            }
            None => text.to_owned(),
        };
    }
    let parts = || {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (_, host) = authority.rsplit_once('@')?;
        let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        (is_scheme && !path.contains('@')).then(|| format!("{scheme}://{MASK}@{}", masked(&format!("{host}{path}"))))
    };
    parts().unwrap_or_else(|| MASK.to_owned())
}

/// Whether an address has user information in it, or may have.
#[must_use]
pub fn has_credentials(address: &str) -> bool {
    address.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_query_and_fragment_are_masked() {
        let cases = [
            ("", ""),
            ("99999", "99999"),
            ("https://dev.azure.com/a", "https://dev.azure.com/a"),
            ("https://u:p@dev.azure.com/a", "https://********@dev.azure.com/a"),
            ("https://pat@dev.azure.com", "https://********@dev.azure.com"),
            ("https://u:p@q@h:1/a", "https://********@h:1/a"),
            ("https://u:p?q#r@h/a", "https://********@h/a"),
            ("https://u:p/q@h/a", MASK),
            ("https://u:p@h/a@b", MASK),
            ("https://a, https://u:p@h", MASK),
            ("segredo u://p@h", MASK),
            ("u:p@h", MASK),
            ("p@h", MASK),
            ("@", MASK),
            ("https://h/a?key=p", "https://h/a?********"),
            ("https://h?", "https://h?********"),
            ("https://h/a#p?q", "https://h/a#********"),
            ("h?key=p", "h?********"),
            ("https://a, https://b?key=p, https://c", "https://a, https://b?********"),
            ("https://u:p@h/a?key=p#q", "https://********@h/a?********"),
            ("https://u:p@h?key=p/q", "https://********@h?********"),
            ("https://h/a?mail=u@h", MASK),
        ];
        for (text, shown) in cases {
            assert_eq!(masked(text), shown, "{text}");
        }
    }
}
