//! Reading the URL of a database strictly: what is doubtful is refused with advice, since a guess could send a password
//! to the wrong host. No error shows any part of the URL.

use secrecy::SecretString;

use crate::target::Target;
use crate::tls::TlsMode;

/// Why a URL cannot be used. It never shows any part of it, since every part could belong to the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another scheme, or none.
    #[error(
        "it must look like postgresql://user:password@host:5432/database (a driver as in postgresql+asyncpg:// is ignored)"
    )]
    Scheme,
    /// A stray percent sign.
    #[error("a % must be followed by two hexadecimal digits; percent-encode a % that stands for itself as %25")]
    Percent,
    /// A character that ends the part in which it stands.
    #[error(
        "its user name or password has a character that must be percent-encoded: \
         / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, % as %25, a space as %20"
    )]
    Unencoded,
    /// Nothing between `//` or `@` and the port or the path.
    #[error("it names no host; it must look like postgresql://user:password@host:5432/database")]
    Host,
    /// Not a port.
    #[error(
        "the port after the host must be a number from 1 to 65535; percent-encode a : of the password as %3A, a @ as %40"
    )]
    Port,
    /// Percent-encoded bytes that are no text.
    #[error("its percent-encoded bytes must be UTF-8 without NUL")]
    Text,
    /// Something after `?` that would have no effect.
    #[error(
        "after the ? only these parameters are known: sslmode, ssl, sslrootcert, sslcert, sslkey, host, \
         application_name; percent-encode a ? of the password as %3F"
    )]
    Parameter,
    /// Not a TLS mode.
    #[error("sslmode must be disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
}

/// What `url` says, and the defaults where it says nothing.
pub(crate) fn read(url: &str) -> Result<Target, InvalidUrl> {
    let (scheme, rest) = url.trim().split_once("://").ok_or(InvalidUrl::Scheme)?;
    let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _driver)| scheme);
    if !["postgres", "postgresql"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(InvalidUrl::Scheme);
    }
    if rest.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
        return Err(InvalidUrl::Unencoded);
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // A raw / or ? in the password cuts it short, and then the @ before the host comes too late.
    if database.contains('@') || (!authority.contains('@') && query.contains('@')) {
        return Err(InvalidUrl::Unencoded);
    }

    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut target = Target::default();
    read_user(user, &mut target)?;
    read_host(host, query, &mut target)?;
    target.database = Some(decoded(database)?).filter(|database| !database.is_empty());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        read_parameter(pair, &mut target)?;
    }
    Ok(target)
}

fn read_user(user: &str, target: &mut Target) -> Result<(), InvalidUrl> {
    let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
    target.user = Some(decoded(name)?).filter(|name| !name.is_empty());
    target.password = password.map(decoded).transpose()?.map(SecretString::from);
    Ok(())
}

/// `host`, `host:port`, `[::1]:port`, or nothing if a parameter says it.
fn read_host(host: &str, query: &str, target: &mut Target) -> Result<(), InvalidUrl> {
    let (name, port) = match host.rsplit_once(':') {
        // The colon of an address in brackets.
        Some((_, end)) if end.ends_with(']') => (host, None),
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    if name.contains(':') && !name.starts_with('[') {
        return Err(InvalidUrl::Port);
    }
    if let Some(port) = port {
        target.port = port.parse().ok().filter(|port| *port != 0).ok_or(InvalidUrl::Port)?;
    }
    match decoded(name)? {
        name if name.is_empty() && !query.split('&').any(|pair| pair.starts_with("host=")) => Err(InvalidUrl::Host),
        name if name.is_empty() => Ok(()),
        name => {
            target.host = name;
            Ok(())
        }
    }
}

fn read_parameter(pair: &str, target: &mut Target) -> Result<(), InvalidUrl> {
    let (key, value) = pair.split_once('=').ok_or(InvalidUrl::Parameter)?;
    let value = decoded(value)?;
    match key {
        "sslmode" | "ssl" => target.tls.mode = TlsMode::parse(&value).ok_or(InvalidUrl::SslMode)?,
        "sslrootcert" => target.tls.root_cert = Some(value),
        "sslcert" => target.tls.client_cert = Some(value),
        "sslkey" => target.tls.client_key = Some(value.into()),
        "host" if value.is_empty() => return Err(InvalidUrl::Host),
        "host" => target.host = value,
        "application_name" => target.application_name = value,
        _ => return Err(InvalidUrl::Parameter),
    }
    Ok(())
}

/// `text` with every `%2F` and the like as what it stands for.
fn decoded(text: &str) -> Result<String, InvalidUrl> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(InvalidUrl::Percent);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).map_err(|_| InvalidUrl::Percent)?);
    }
    let decoded = String::from_utf8(decoded).map_err(|_| InvalidUrl::Text)?;
    if decoded.contains('\0') { Err(InvalidUrl::Text) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_usual_spellings_mean_the_same() {
        for scheme in
            ["postgres", "postgresql", "PostgreSQL", "postgresql+asyncpg", "postgresql+psycopg2", "postgres+x"]
        {
            let target = read(&format!(" {scheme}://maria:segredo@db.exemplo:6543/aponta\n")).unwrap();

            assert_eq!((&*target.host, target.port), ("db.exemplo", 6543), "{scheme}");
            assert_eq!(
                (target.user.as_deref(), target.database.as_deref()),
                (Some("maria"), Some("aponta")),
                "{scheme}"
            );
        }
    }

    #[test]
    fn hosts_come_in_every_form() {
        let cases = [
            ("postgres://u@[::1]:6543/d", "[::1]", 6543),
            ("postgres://u@[fe80::1]/d", "[fe80::1]", 5432),
            ("postgres://127.0.0.1", "127.0.0.1", 5432),
            ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d", "/var/run/postgresql", 5432),
            ("postgres:///d?host=/var/run/postgresql", "/var/run/postgresql", 5432),
            ("postgres://u:a@b@h:1/d", "h", 1),
        ];
        for (url, host, port) in cases {
            let target = read(url).unwrap();
            assert_eq!((&*target.host, target.port), (host, port), "{url}");
        }
    }

    #[test]
    fn percent_encoding_and_parameters_are_read() {
        let url = "postgres://m%40x:%25%40%3A%2F%3F%23@h/a%20b?sslmode=require&application_name=outra&";
        let target = read(url).unwrap();

        assert_eq!((target.user.as_deref(), target.database.as_deref()), (Some("m@x"), Some("a b")));
        assert_eq!((target.tls.mode, &*target.application_name), (TlsMode::Require, "outra"));
        assert_eq!(target.password.unwrap().expose_secret(), "%@:/?#");
    }

    #[test]
    fn what_is_doubtful_is_refused_with_a_reason_that_shows_nothing() {
        let cases = [
            ("", InvalidUrl::Scheme),
            ("segredo", InvalidUrl::Scheme),
            ("mysql://u:segredo@h/d", InvalidUrl::Scheme),
            ("postgres:u:segredo@h/d", InvalidUrl::Scheme),
            ("postgres://u:segredo@", InvalidUrl::Host),
            ("postgres:///d", InvalidUrl::Host),
            ("postgres://u:segredo@:5432/d", InvalidUrl::Host),
            ("postgres:///d?host=", InvalidUrl::Host),
            ("postgres://u:segredo@h:0/d", InvalidUrl::Port),
            ("postgres://u:segredo@h:65536/d", InvalidUrl::Port),
            ("postgres://u:segredo@h:/d", InvalidUrl::Port),
            ("postgres://u:segredo@h:5432x/d", InvalidUrl::Port),
            ("postgres://u:segredo@h:a:5432/d", InvalidUrl::Port),
            ("postgres://u:seg#redo@h/d", InvalidUrl::Unencoded),
            ("postgres://u:seg/redo@h/d", InvalidUrl::Unencoded),
            ("postgres://u:1/segredo@h/d", InvalidUrl::Unencoded),
            ("postgres://u:seg@x/redo@h/d", InvalidUrl::Unencoded),
            ("postgres://u:seg?redo@h/d", InvalidUrl::Unencoded),
            ("postgres://u:seg redo@h/d", InvalidUrl::Unencoded),
            ("postgres://u:seg@x?redo@h/d", InvalidUrl::Parameter),
            ("postgres://u:segredo@h/d?sslmod=require", InvalidUrl::Parameter),
            ("postgres://u:segredo@h/d?sslmode=segredo", InvalidUrl::SslMode),
            ("postgres://u:50%segredo@h/d", InvalidUrl::Percent),
            ("postgres://u:segredo%@h/d", InvalidUrl::Percent),
            ("postgres://u:segredo%+1@h/d", InvalidUrl::Percent),
            ("postgres://u:segredo%4@h/d", InvalidUrl::Percent),
            ("postgres://u:segredo%ff@h/d", InvalidUrl::Text),
            ("postgres://u:segredo%00@h/d", InvalidUrl::Text),
        ];
        for (url, expected) in cases {
            let refused = read(url).map(|_| ()).unwrap_err();

            assert_eq!(refused, expected, "{url}");
            assert!(!format!("{refused} {refused:?}").contains("seg"), "{url}");
        }
    }
}
