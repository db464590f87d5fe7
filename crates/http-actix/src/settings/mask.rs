//! What is shown of a value, wherever settings are shown: no secret, even where none belongs.

/// What stands for a secret.
pub(super) const MASK: &str = "********";

/// The text without the credentials that an address may have: what is between `://` and the last `@` of the authority.
/// Where an `@` stands anywhere else, nobody can tell what it ends, and nothing is shown.
pub(super) fn masked(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let parts = || {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (_, host) = authority.rsplit_once('@')?;
        let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        (is_scheme && !path.contains('@')).then(|| format!("{scheme}://{MASK}@{host}{path}"))
    };
    parts().unwrap_or_else(|| MASK.to_owned())
}

/// Whether an address has credentials in it, or may have.
#[must_use]
pub fn has_credentials(address: &str) -> bool {
    masked(address) != address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_host_is_not_shown() {
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
        ];
        for (text, shown) in cases {
            assert_eq!(masked(text), shown, "{text}");
        }
    }
}
