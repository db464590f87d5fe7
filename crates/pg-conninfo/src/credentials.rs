//! User names and passwords that cannot be sent, rejected before connecting.
//!
//! sqlx prepares both with `SASLprep` (RFC 4013) for SCRAM and fails where the RFC prohibits a character, with an error
//! text that contains the character. libpq falls back to the raw bytes, which sqlx does not. The check uses the same
//! crate as sqlx, so it rejects exactly what sqlx would.

/// Why a user name or password cannot be used. The text shows no part of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCredentials {
    /// `SASLprep` prohibits a character of the password.
    #[error(
        "the password has a character that SCRAM authentication cannot send (RFC 4013: no control or private-use \
         characters, nothing newer than Unicode 3.2 such as emoji, no mix of writing directions); \
         give the role another password"
    )]
    Password,
    /// `SASLprep` prohibits a character of the user name, or it has a comma, which sqlx does not escape.
    #[error(
        "the user name has a character that SCRAM authentication cannot send (a comma, a control or private-use \
         character, a letter written from right to left, or one newer than Unicode 3.2 such as an emoji); \
         use a role with another name"
    )]
    User,
}

pub(crate) fn check(user: Option<&str>, password: Option<&str>) -> Result<(), UnusableCredentials> {
    let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
    // sqlx prepares the attribute as a whole, and the `n` makes a name of Hebrew or Arabic letters one of mixed direction.
    if user.contains(',') || stringprep::saslprep(&format!("n={user}")).is_err() {
        return Err(UnusableCredentials::User);
    }
    // PostgreSQL hashes the raw bytes if nothing is left after preparation.
    match stringprep::saslprep(password) {
        Ok(prepared) if prepared.is_empty() == password.is_empty() => Ok(()),
        _ => Err(UnusableCredentials::Password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_scram_cannot_send_are_an_error() {
        let accepted = ["", "abc", " %@:/?#'\"\\,=", "ação", "ß", "日本", "\u{a0}", "ª", "שלום", "٠"];
        for password in accepted {
            assert_eq!(check(Some("u"), Some(password)), Ok(()), "{password:?}");
        }
        let rejected = ["a😀", "₽", "ẞ", "\u{e000}", "a\tb", "\u{7f}", "שa", "\u{ad}", "\u{200e}"];
        for password in rejected {
            assert_eq!(check(Some("u"), Some(password)), Err(UnusableCredentials::Password), "{password:?}");
        }
        for user in ["", "maria@server", "joão", "a=b", "x y", "日本"] {
            assert_eq!(check(Some(user), None), Ok(()), "{user:?}");
        }
        for user in ["a,b", "😀", "שלום", "a\nb"] {
            assert_eq!(check(Some(user), None), Err(UnusableCredentials::User), "{user:?}");
        }
    }
}
