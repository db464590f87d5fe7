//! Reads the URL of a database: user, hosts and database; `parameters` reads what follows the `?`.

use std::net::Ipv6Addr;

use secrecy::SecretString;

use crate::parameters::Parameters;
use crate::tls::Tls;
use crate::{APPLICATION_NAME, Conninfo, Host, InvalidUrl, PORT, credentials};

impl Conninfo {
    /// Reads `url`: `postgres://` or `postgresql://`; a driver as in `postgresql+asyncpg://` is ignored.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what to do and shows nothing of the URL.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(InvalidUrl::Scheme)?;
        let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _driver)| scheme);
        if !["postgres", "postgresql"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return Err(InvalidUrl::Scheme);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_delimiter = |c: char| c == '#' || c.is_whitespace() || c.is_control();
        // A space is common in options=-c name=value.
        if rest.contains(is_delimiter) || query.contains(|c| c != ' ' && is_delimiter(c)) {
            return Err(InvalidUrl::Unencoded);
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        // A raw / or ? in the password cuts it short, and then the @ before the host comes too late.
        if database.contains('@') || (!authority.contains('@') && query.contains('@')) {
            return Err(InvalidUrl::Unencoded);
        }
        // Azure's user@server may come unencoded, so the last @ counts.
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));

        let mut parameters = Parameters::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(InvalidUrl::Parameter)?;
            parameters.set(name, decoded(value)?)?;
        }
        let user = either(non_empty(user)?, parameters.user, "user")?;
        let password = either(password.map(decoded).transpose()?, parameters.password, "password")?;
        credentials::check(user.as_deref(), password.as_deref())?;
        let tls = Tls::new(parameters.ssl_mode, parameters.ssl_root, parameters.ssl_cert, parameters.ssl_key)?;
        let application_name = parameters.application_name.or(parameters.fallback_application_name);
        Ok(Self {
            hosts: read_hosts(hosts, parameters.host, parameters.port.as_deref())?,
            database: either(non_empty(database)?, parameters.database, "dbname")?,
            user,
            password: password.map(SecretString::from),
            application_name: application_name.unwrap_or_else(|| APPLICATION_NAME.to_owned()),
            startup_options: parameters.options,
            tls,
            session_attrs: parameters.session_attrs.unwrap_or_default(),
            connect_timeout: parameters.connect_timeout.filter(|timeout| !timeout.is_zero()),
        })
    }
}

/// A value that stands in the URL itself or in a parameter.
fn either(plain: Option<String>, parameter: Option<String>, name: &'static str) -> Result<Option<String>, InvalidUrl> {
    if plain.is_some() && parameter.is_some() { Err(InvalidUrl::Repeated(name)) } else { Ok(plain.or(parameter)) }
}

fn non_empty(text: &str) -> Result<Option<String>, InvalidUrl> {
    Ok(Some(decoded(text)?).filter(|text| !text.is_empty()))
}

/// `host`, `host:port`, `[::1]:port`, several of them with commas. As in libpq, parameters replace names and ports.
fn read_hosts(authority: &str, names: Option<String>, ports: Option<&str>) -> Result<Vec<Host>, InvalidUrl> {
    let mut hosts = Vec::new();
    for host in authority.split(',') {
        hosts.push(match host.rsplit_once(':') {
            // The colon of an address in brackets.
            Some((_, end)) if end.ends_with(']') => (decoded(host)?, PORT),
            Some((name, _)) if name.contains(':') && !name.starts_with('[') => return Err(InvalidUrl::Port),
            Some((name, port)) => (decoded(name)?, read_port(port)?),
            None => (decoded(host)?, PORT),
        });
    }
    let (plain, own_ports): (Vec<_>, Vec<_>) = hosts.into_iter().unzip();
    let names = names.map_or(plain, |names| names.split(',').map(str::to_owned).collect());
    let ports = match ports {
        Some(ports) => ports.split(',').map(|port| if port.is_empty() { Ok(PORT) } else { read_port(port) }).collect(),
        None => Ok(own_ports),
    }?;
    let ports = match ports.as_slice() {
        [one] => vec![*one; names.len()],
        each if each.len() == names.len() => ports,
        _ => return Err(InvalidUrl::PortCount),
    };
    names.iter().zip(ports).map(|(name, port)| read_host(name, port)).collect()
}

fn read_host(name: &str, port: u16) -> Result<Host, InvalidUrl> {
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let host = Host::new(name, port);
    let (address, zone) = host.name.split_once('%').unwrap_or((&host.name, ""));
    let is_address = address.parse::<Ipv6Addr>().is_ok() && is_name(zone);
    match host.name.as_str() {
        "" => Err(InvalidUrl::Host),
        text if host.is_socket() || is_name(text) || is_address => Ok(host),
        _ => Err(InvalidUrl::HostName),
    }
}

fn read_port(text: &str) -> Result<u16, InvalidUrl> {
    text.parse().ok().filter(|port| *port != 0).ok_or(InvalidUrl::Port)
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
