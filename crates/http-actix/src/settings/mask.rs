//! Masks credentials in values before they are printed, also in settings that should contain none.

/// Replaces a secret in output.
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

/// The URL of a database with its password masked. If it has an unusual character, the whole URL is masked, because the end
/// of the password is uncertain.
pub(super) fn masked_database_url(url: &str) -> String {
    let is_plain = |text: &str, also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
    let plain = || {
        let (scheme, rest) = url.split_once("://")?;
        // A second @ or a query, which may contain a password too, is not plain.
        let (user, rest) = rest.split_once('@')?;
        let user = user.split_once(':')?.0;
        (is_plain(scheme, "+") && is_plain(user, "-_.") && is_plain(rest, "-_.:,/[]"))
            .then(|| format!("{scheme}://{user}:{MASK}@{rest}"))
    };
    plain().unwrap_or_else(|| MASK.to_owned())
}

/// Whether an address contains user information, or may contain it.
#[must_use]
pub fn has_credentials(address: &str) -> bool {
    address.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_hides_user_information_query_and_fragment() {
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
        for (text, expected) in cases {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    #[test]
    fn masked_database_url_hides_the_password_or_everything() {
        let cases = [
            ("postgresql://u:p@h:5432/d", "postgresql://u:********@h:5432/d"),
            ("postgresql+asyncpg://u.x:p/q:r#?@h/d", "postgresql+asyncpg://u.x:********@h/d"),
            ("postgresql://u:p@[::1]:5432/d", "postgresql://u:********@[::1]:5432/d"),
            ("postgresql://u:p@a:1,b:2/d", "postgresql://u:********@a:1,b:2/d"),
            ("postgresql://u:p@secret@h/d", MASK),
            ("postgresql://u:p@h/d?password=secret", MASK),
            ("postgresql://h/d?user=u&password=secret", MASK),
            ("postgresql://u:secret/d", MASK),
            ("postgresql://secret@h/d", MASK),
            ("u:secret@h", MASK),
            ("secret", MASK),
        ];
        for (url, expected) in cases {
            assert_eq!(masked_database_url(url), expected, "{url}");
        }
    }
}
