//! The connection settings as sqlx takes them, for one host.

use std::fmt::Write as _;

use secrecy::ExposeSecret;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::{Conninfo, Host, TlsError};

/// Why no connection can be attempted. No text shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConnectOptionsError {
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `options` cannot be handed to sqlx.
    #[error("options cannot be sent")]
    StartupOptions,
    /// sqlx would add what the environment says, and cannot be kept from it.
    #[error("the environment variable {0} is set and would change the connection; unset it, and write it into the URL")]
    Environment(&'static str),
}

impl Conninfo {
    /// Returns the options of sqlx to connect to `host`. They hold the password, and their `Debug` shows it.
    ///
    /// They do not set `search_path`: `PgBouncer` and the poolers of Neon and Supabase reject it as a startup parameter,
    /// so the pool sets it on the open connection. The bound of `connect_timeout` is the pool's task as well.
    ///
    /// # Errors
    /// [`ConnectOptionsError`], before anything is sent.
    pub fn connect_options(&self, host: &Host) -> Result<PgConnectOptions, ConnectOptionsError> {
        let password = self.password.as_ref().map(ExposeSecret::expose_secret);
        self.check_environment(|name| std::env::var_os(name).is_some())?;

        let options = self.with_startup_options()?;
        let user = self.user.clone().unwrap_or_else(|| options.get_username().to_owned());
        let options = options
            .host(&host.name)
            .port(host.port)
            .database(self.database.as_ref().unwrap_or(&user))
            .username(&user)
            // An empty one is none, and keeps sqlx from PGPASSWORD.
            .password(password.unwrap_or_default())
            .application_name(&self.application_name)
            // PgBouncer rejects this startup parameter.
            .extra_float_digits(None)
            // The service logs statements itself.
            .disable_statement_logging();
        Ok(self.tls.apply(host, options)?)
    }

    /// Options of sqlx with nothing set but `options`. Its own method would write `-c` before Neon's `endpoint=…`, so
    /// the text goes through a URL, whose password keeps sqlx from reading a password file.
    fn with_startup_options(&self) -> Result<PgConnectOptions, ConnectOptionsError> {
        let Some(text) = &self.startup_options else { return Ok(PgConnectOptions::new_without_pgpass()) };
        let encoded = text.bytes().fold(String::new(), |mut encoded, byte| {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02x}");
            encoded
        });
        format!("postgres://-:-@host/?options={encoded}").parse().map_err(|_| ConnectOptionsError::StartupOptions)
    }

    /// sqlx begins with what the environment says. Most of that is replaced; this checks the rest.
    fn check_environment(&self, is_set: impl Fn(&str) -> bool) -> Result<(), ConnectOptionsError> {
        let takes_client = self.tls.takes_client_from_environment();
        let would_be_used = [
            ("PGOPTIONS", true),
            ("PGUSER", self.user.is_none()),
            ("PGSSLCERT", takes_client),
            ("PGSSLKEY", takes_client),
        ];
        match would_be_used.into_iter().find(|(name, is_used)| *is_used && is_set(name)) {
            Some((name, _)) => Err(ConnectOptionsError::Environment(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn options(url: &str) -> Result<PgConnectOptions, ConnectOptionsError> {
        let conninfo = Conninfo::parse(url).unwrap();
        conninfo.connect_options(&conninfo.hosts()[0])
    }

    #[test]
    fn connect_options_have_the_settings_of_the_url() {
        let url = "postgres://maria%40x:segredo@[::1]:6543/aponta?sslmode=require&application_name=outra\
                   &options=endpoint%3Dep-x%20-c%20role=a%5C%20b";
        let options = options(url).unwrap();

        assert_eq!((options.get_host(), options.get_port()), ("::1", 6543));
        assert_eq!((options.get_username(), options.get_database()), ("maria@x", Some("aponta")));
        assert_eq!(options.get_application_name(), Some("outra"));
        assert_eq!(options.get_options(), Some("endpoint=ep-x -c role=a\\ b"));
        let shown = format!("{options:?}");
        for part in ["password: Some(\"segredo\")", "ssl_mode: Require", "extra_float_digits: None", "socket: None"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn socket_directory_disables_tls() {
        let options = options("postgres://u@%2Frun%2Fpostgresql/d?sslmode=verify-full").unwrap();

        assert_eq!(options.get_host(), "/run/postgresql");
        assert!(format!("{options:?}").contains("ssl_mode: Disable"), "{options:?}");
    }

    #[test]
    fn database_defaults_to_the_user() {
        assert_eq!(options("postgres://maria@h").unwrap().get_database(), Some("maria"));
    }

    #[test]
    fn variable_that_sqlx_would_add_is_an_error() {
        let refused = |url: &str, variable: &str| {
            let checked = Conninfo::parse(url).unwrap().check_environment(|name| name == variable);
            checked.err().map(|error| error.to_string())
        };
        for (url, variable, is_refused) in [
            ("postgres://u@h", "PGOPTIONS", true),
            ("postgres://u@h", "PGUSER", false),
            ("postgres://h", "PGUSER", true),
            ("postgres://u@h", "PGSSLCERT", true),
            ("postgres://u@h?sslcert=a&sslkey=b", "PGSSLCERT", false),
            ("postgres://u@h?sslcert=a&sslkey=b", "PGSSLKEY", false),
            ("postgres://u@h?sslmode=disable", "PGSSLKEY", false),
            ("postgres://u@h", "PGHOST", false),
        ] {
            let error = refused(url, variable);
            assert_eq!(error.is_some(), is_refused, "{url} {variable}");
            assert!(error.is_none_or(|error| error.contains(variable)), "{url} {variable}");
        }
    }

    /// Runs itself again with variables that sqlx would read.
    #[test]
    fn environment_has_no_effect() {
        let urls = ["postgres://u@h", "postgres://u@h/d?options=-c%20geqo=off&sslmode=disable"];
        let variables = [
            ("PGHOST", "evil"),
            ("PGHOSTADDR", "192.0.2.1"),
            ("PGPORT", "1"),
            ("PGUSER", "evil"),
            ("PGDATABASE", "evil"),
            ("PGPASSWORD", "evil"),
            ("PGSSLROOTCERT", "/evil"),
            ("PGSSLMODE", "verify-ca"),
            ("PGAPPNAME", "evil"),
        ];
        for url in urls {
            let shown = format!("{:?}", options(url).unwrap());
            assert!(!shown.contains("evil") && !shown.contains("192.0.2.1") && !shown.contains("VerifyCa"), "{shown}");
        }
        if std::env::var_os("PGAPPNAME").is_some() {
            return;
        }
        let name = "connect_options::tests::environment_has_no_effect";
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args([name, "--exact"]).envs(variables).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}
