//! The settings as a whole.

use super::*;

/// A directory that is removed when the test ends, however it ends.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aponta-settings-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    Sources::default().with_environment(variables.iter().copied())
}

fn parse(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let parsed = Settings::parse(&environment(variables), |_| Ok(()));
    parsed.map(|(settings, ())| settings).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn url(settings: &Settings) -> &str {
    settings.database.url().unwrap().expose_secret()
}

#[test]
fn settings_without_variables_are_the_safe_defaults() {
    let settings = parse(&[]).unwrap();

    assert_eq!(settings.environment, Environment::Production);
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8000");
    assert_eq!((settings.debug, settings.auth_enabled, settings.any_organisation), (false, true, false));
    assert_eq!((settings.log.as_str(), settings.database.schema.as_str()), ("info", "api_aponta"));
    assert_eq!(settings.database.pool_size, 10);
    assert_eq!(settings.auth_cache_ttl, Duration::from_mins(1));
    assert_eq!(settings.azure.profile_url, "https://app.vssps.visualstudio.com");
    assert!(settings.azure.org_url.is_none() && settings.azure.pat.is_none() && settings.azure.app_keys.is_none());
    assert!(settings.cors_origins.is_empty());
}

#[test]
fn settings_of_the_table_are_all_read() {
    // Valid together, and with any one of them replaced by its other value.
    let base = [
        ("ENVIRONMENT", "development"),
        ("DATABASE_HOST", "h"),
        ("DATABASE_NAME", "n"),
        ("DATABASE_USER", "u"),
        ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/o"),
        ("AZURE_DEVOPS_PAT", "p"),
    ];
    let others = [
        ("ENVIRONMENT", "production"),
        ("API_HOST", "127.0.0.1"),
        ("API_PORT", "0"),
        ("API_ROOT_PATH", "/aponta"),
        ("API_DEBUG", "true"),
        ("METRICS_PORT", "9464"),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
        ("LOG", "debug"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other"),
        ("SENTRY_DSN", "https://other@example.org/1"),
        ("DATABASE_URL", "postgresql://u:p@h/d"),
        ("DATABASE_HOST", "other"),
        ("DATABASE_PORT", "6432"),
        ("DATABASE_NAME", "other"),
        ("DATABASE_USER", "other"),
        ("DATABASE_PASSWORD", "other"),
        ("DATABASE_DIRECT_URL", "postgresql://u@other/d"),
        ("DATABASE_REPLICA_URLS", "postgresql://u@r1/d,postgresql://u@r2/d"),
        ("DATABASE_SCHEMA", "other"),
        ("DATABASE_POOL_SIZE", "3"),
        ("AUTH_ENABLED", "no"),
        ("AUTH_ANY_ORGANISATION", "true"),
        ("AUTH_CACHE_TTL", "0"),
        ("RATE_PER_PERSON", "off"),
        ("REDIS_URL", "redis://h"),
        ("SHARED_KEY", "0123456789abcdef0123456789abcdef"),
        ("EXTENSION_APP_KEYS", "other"),
        ("APP_TOKEN_ALONE", "members"),
        ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/other"),
        ("AZURE_DEVOPS_PAT", "other"),
        ("AZURE_DEVOPS_PROFILE_URL", "https://other.example.org"),
        ("SYNC_INTERVAL", "900"),
        ("WRITE_BACK", "off"),
        ("CORS_ORIGINS", "https://other.example.org"),
    ];
    let whole = |variables: &[(&str, &str)]| {
        let mut settings = parse(variables).unwrap();
        settings.lines.clear();
        let secret = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let secrets = [url(&settings).to_owned()].into_iter().chain(secret(&settings.azure.pat));
        let secrets: Vec<_> = secrets.chain(secret(&settings.azure.app_keys)).collect();
        format!("{settings:?} {secrets:?}")
    };

    for (name, value) in others {
        assert_ne!(whole(&[&base[..], &[(name, value)]].concat()), whole(&base), "{name} is read");
    }
    assert_eq!(others.map(|(name, _)| name).to_vec(), SETTINGS.iter().map(|spec| spec.name).collect::<Vec<_>>());
}

#[test]
fn value_of_the_wrong_form_is_an_error_with_the_allowed_form() {
    let cases = [
        ("ENVIRONMENT", "staging", r#"ENVIRONMENT: "staging" is not development or production"#),
        ("API_HOST", "localhost", r#"API_HOST: "localhost" is not an IP address, like 0.0.0.0"#),
        ("API_HOST", "0.0.0.0:80", r#"API_HOST: "0.0.0.0:80" is not an IP address, like 0.0.0.0"#),
        ("API_PORT", "99999", r#"API_PORT: "99999" is not a port (0..=65535)"#),
        (
            "API_ROOT_PATH",
            "aponta",
            r#"API_ROOT_PATH: "aponta" is not a path like /aponta, of letters, digits and -._~ between slashes"#,
        ),
        ("METRICS_PORT", "sim", r#"METRICS_PORT: "sim" is not a port (0..=65535)"#),
        ("TRUSTED_PROXIES", "nginx", r#"TRUSTED_PROXIES: "nginx" is not a network like 172.16.0.0/12 or an address"#),
        ("API_PORT", "-1", r#"API_PORT: "-1" is not a port (0..=65535)"#),
        ("API_PORT", "8e3", r#"API_PORT: "8e3" is not a port (0..=65535)"#),
        ("API_PORT", " ", r#"API_PORT: " " is not a port (0..=65535)"#),
        ("API_DEBUG", "maybe", r#"API_DEBUG: "maybe" is not true or false"#),
        ("AUTH_ENABLED", "2", r#"AUTH_ENABLED: "2" is not true or false"#),
        ("AUTH_ENABLED", "falsе", "AUTH_ENABLED: \"falsе\" is not true or false"),
        (
            "DATABASE_HOST",
            "db:5432",
            "DATABASE_HOST: \"db:5432\" is not a host name, an IP address or a socket directory, or several separated by \
             commas; port, user and password have settings of their own",
        ),
        (
            "DATABASE_PORT",
            "5432,0",
            "DATABASE_PORT: \"5432,0\" is not a whole number from 1 to 65535, or one for each host, separated by commas",
        ),
        ("DATABASE_POOL_SIZE", "0", r#"DATABASE_POOL_SIZE: "0" is not a whole number from 1 to 1000"#),
        ("DATABASE_POOL_SIZE", "1001", r#"DATABASE_POOL_SIZE: "1001" is not a whole number from 1 to 1000"#),
        ("AUTH_CACHE_TTL", "60s", r#"AUTH_CACHE_TTL: "60s" is not a whole number from 0 to 86400"#),
        ("AUTH_CACHE_TTL", "86401", r#"AUTH_CACHE_TTL: "86401" is not a whole number from 0 to 86400"#),
        (
            "RATE_PER_PERSON",
            "10/m;20",
            "RATE_PER_PERSON: \"10/m;20\" is not off, or requests per second and burst like 10/s;20 (1 to 10000 per second, \
             a burst of 0 to 10000)",
        ),
        ("SYNC_INTERVAL", "9", r#"SYNC_INTERVAL: "9" is not 0 or a whole number from 10 to 604800"#),
        ("SYNC_INTERVAL", "15m", r#"SYNC_INTERVAL: "15m" is not 0 or a whole number from 10 to 604800"#),
        ("AZURE_DEVOPS_PAT", "hunter2 ", "AZURE_DEVOPS_PAT: must be a token without white space"),
        (
            "SENTRY_DSN",
            "https://hunter2@h",
            "SENTRY_DSN: is not a DSN, like https://key@sentry.example.org/1: empty path",
        ),
    ];
    for (name, value, error) in cases {
        assert_eq!(parse(&[(name, value)]).unwrap_err(), [error]);
    }
}

#[test]
fn parse_returns_all_errors_with_those_of_the_command() {
    let variables = [
        ("API_PORT", "x"),
        ("AUTH_ENABLED", "false"),
        ("DATABASE_SCHEMA", "Bad Schema"),
        ("DATABASE_URL_FILE", "/nonexistent/url"),
        ("CORS_ORIGINS", "*, https://a.example.org, https://a.example.org/"),
    ];
    let sources = environment(&variables).with_dotenv("oops");

    let parsed = Settings::parse(&sources, |settings| {
        let schema = ConfigError::value("DATABASE_SCHEMA", &settings.database.schema, "is no schema");
        let mut errors = vec![schema];
        errors.extend(settings.database.url().err().unwrap_or_default());
        Err::<(), _>(errors)
    });

    let message = parsed.unwrap_err().to_string();
    let about: Vec<_> =
        message.lines().filter_map(|line| line.trim_start().split_once(": ")).map(|(name, _)| name).collect();
    // The missing URL is known to be wrong already: its file cannot be read.
    let expected = ".env API_PORT DATABASE_URL_FILE CORS_ORIGINS CORS_ORIGINS AUTH_ENABLED DATABASE_SCHEMA";
    assert_eq!(about.join(" "), expected, "{message}");
}

#[test]
fn flag_accepts_the_spellings_of_pydantic() {
    for (value, flag) in ["true", "1", "yes", "on", "t", "y", "TRUE", "Yes", "oN"]
        .map(|text| (text, true))
        .into_iter()
        .chain(["false", "0", "no", "off", "f", "n", "FALSE", "No", "oFf"].map(|text| (text, false)))
    {
        let settings = parse(&[("ENVIRONMENT", "development"), ("AUTH_ENABLED", value)]).unwrap();
        assert_eq!(settings.auth_enabled, flag, "{value}");
    }
}

#[test]
fn database_url_wins_over_its_parts() {
    let parts = [("DATABASE_HOST", "db"), ("DATABASE_NAME", "d"), ("DATABASE_USER", "u")];
    let with = |more: &[(&'static str, &'static str)]| parse(&[&parts[..], more].concat()).unwrap();

    assert_eq!(url(&with(&[])), "postgresql://u@db:5432/d");
    assert_eq!(url(&with(&[("DATABASE_PASSWORD", " 01 ")])), "postgresql://u:%2001%20@db:5432/d");
    let given = with(&[("DATABASE_URL", "postgresql+asyncpg://x:y@z/w?ssl=require")]);
    assert_eq!(url(&given), "postgresql+asyncpg://x:y@z/w?ssl=require");
    assert_eq!(given.database.url_settings, "DATABASE_URL");
}

#[test]
fn database_hosts_take_one_port_or_one_each() {
    let with = |hosts: &str, ports: &str| {
        let variables =
            [("DATABASE_NAME", "d"), ("DATABASE_USER", "u"), ("DATABASE_HOST", hosts), ("DATABASE_PORT", ports)];
        parse(&variables).map(|settings| url(&settings).to_owned())
    };

    assert_eq!(with("a,b", "").as_deref(), Ok("postgresql://u@a:5432,b:5432/d"));
    assert_eq!(with("a,::1,/run/pg", "1,2, 3").as_deref(), Ok("postgresql://u@a:1,[::1]:2,%2Frun%2Fpg:3/d"));
    assert_eq!(with("a,b", "1,2,3").unwrap_err(), ["DATABASE_PORT: has 3 ports for the 2 hosts of DATABASE_HOST"]);
    assert!(with("a,,b", "").unwrap_err()[0].starts_with("DATABASE_HOST: \"a,,b\" is not"));
}

#[test]
fn name_with_outer_quotes_or_blanks_is_an_error() {
    let names = ["DATABASE_SCHEMA", "DATABASE_NAME", "DATABASE_USER", "DATABASE_HOST"];
    for name in names {
        for (value, problem) in [
            ("\"api_aponta\"", "begins or ends with a quote, which would be part of the name: write it without"),
            ("'api_aponta'", "begins or ends with a quote, which would be part of the name: write it without"),
            (" api_aponta", "begins or ends with a blank: write it without"),
            ("api_aponta\r", "has a carriage return, the line ending of Windows: write it without"),
            ("api_aponta\n", "has a control character: write it without"),
        ] {
            assert_eq!(parse(&[(name, value)]).unwrap_err(), [format!("{name}: {value:?} {problem}")]);
        }
    }
    for url in [
        "\"https://dev.azure.com/o\"",
        " https://dev.azure.com/o",
        "https://dev.azure.com/o\r",
        "https://dev.azure.com/'o'",
        "https://dev.azure.com/%22o%22",
        "https://dev.azure.com/o%20/",
    ] {
        let errors = parse(&[("AZURE_DEVOPS_ORG_URL", url)]).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with("AZURE_DEVOPS_ORG_URL: "), "{url:?}: {errors:?}");
    }
    // In .env, quotes and blanks around a value are notation.
    let by_dotenv = Sources::default().with_dotenv("DATABASE_SCHEMA= \"api_aponta\" \r\n");
    let (settings, ()) = Settings::parse(&by_dotenv, |_| Ok(())).unwrap();
    assert_eq!(settings.database.schema, "api_aponta");
}

#[test]
fn database_url_without_its_parts_names_the_missing_ones() {
    let missing = |variables: &[(&str, &str)]| {
        let errors = parse(variables).unwrap().database.url().unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    let nothing =
        "DATABASE_URL: is missing; set it, or DATABASE_HOST, DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD";
    assert_eq!(missing(&[]), [nothing]);
    assert_eq!(missing(&[("DATABASE_PASSWORD", "x")]), [nothing]);
    assert_eq!(
        missing(&[("DATABASE_HOST", "db")]),
        ["DATABASE_NAME: is missing beside the other parts", "DATABASE_USER: is missing beside the other parts"]
    );
}

#[test]
fn secret_file_is_read_whole_without_its_last_newlines() {
    let directory = Directory::new("whole");
    let largest = "x".repeat(64 * 1024);
    let cases: &[(&str, &str)] = &[
        ("secret", "secret"),
        ("secret\n", "secret"),
        (" 0123 \n\n", " 0123 "),
        ("secret\n\n\n", "secret"),
        ("\nsecret \n", "\nsecret "),
        ("a\nb", "a\nb"),
        (&largest, &largest),
    ];
    for (content, secret) in cases {
        let file = directory.file("secret", content);
        let by_environment = environment(&[("EXTENSION_APP_KEYS_FILE", &file)]);
        let by_dotenv = Sources::default().with_dotenv(format!("EXTENSION_APP_KEYS_FILE='{file}'"));
        for sources in [by_environment, by_dotenv] {
            let (settings, ()) = Settings::parse(&sources, |_| Ok(())).unwrap();
            assert_eq!(settings.azure.app_keys.unwrap().expose_secret(), *secret);
            assert!(settings.lines.contains(&format!("EXTENSION_APP_KEYS=********  # file {file}")));
        }
    }
}

#[test]
fn secret_file_that_is_invalid_is_an_error_without_its_content() {
    let directory = Directory::new("bad");
    let here = directory.0.to_str().unwrap().to_owned();
    let cases = [
        (directory.file("line", "\r\n"), "holds a carriage return, the line ending of Windows"),
        (directory.file("windows", "hunter2\r\n"), "holds a carriage return, the line ending of Windows"),
        (directory.file("inside", "hun\rter2"), "holds a carriage return, the line ending of Windows"),
        (directory.file("nul", "hunter2\0\n"), "holds NUL"),
        (directory.file("large", vec![b'x'; 64 * 1024 + 1]), "is larger than 65536 bytes"),
        (directory.file("bytes", [0xff]), "is not UTF-8"),
        (format!("{here}/absent"), "cannot be read: "),
        (format!("{here}/no\0thing"), "cannot be read: "),
        (here, "cannot be read: "),
    ];
    for (file, problem) in cases {
        let errors = parse(&[("DATABASE_PASSWORD_FILE", &file)]).unwrap_err();
        let expected = format!("DATABASE_PASSWORD_FILE: the file {file:?} {problem}");
        assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{errors:?}");
        assert!(!errors[0].contains("hun"), "{errors:?}");
    }

    let errors = parse(&[("DATABASE_PASSWORD_FILE", "hunter2")]).unwrap_err();
    assert!(errors[0].starts_with("DATABASE_PASSWORD_FILE: the file cannot be read: "), "{errors:?}");
}

#[test]
fn secret_file_that_is_empty_counts_as_unset() {
    let directory = Directory::new("unset");
    for content in ["", "\n", "\n\n"] {
        let file = directory.file("secret", content);
        let files: Vec<_> =
            SETTINGS.iter().filter(|spec| spec.is_secret).map(|spec| (format!("{}_FILE", spec.name), &*file)).collect();
        let sources = Sources::default().with_environment(files.clone());
        let (settings, ()) = Settings::parse(&sources, |_| Ok(())).unwrap();
        assert!(settings.azure.pat.is_none() && settings.azure.app_keys.is_none() && settings.database.url().is_err());
        for spec in SETTINGS.iter().filter(|spec| spec.is_secret) {
            let line = format!("{}=  # default", spec.name);
            assert!(settings.lines.contains(&line), "{line} in {:#?}", settings.lines);
        }

        // The secret itself holds, whether it comes from the same source or from an earlier one.
        let with_text = [files, vec![("AZURE_DEVOPS_PAT".to_owned(), "token")]].concat();
        let by_earlier = sources.with_dotenv("AZURE_DEVOPS_PAT=token");
        for sources in [Sources::default().with_environment(with_text), by_earlier] {
            let (settings, ()) = Settings::parse(&sources, |_| Ok(())).unwrap();
            assert_eq!(settings.azure.pat.unwrap().expose_secret(), "token");
        }
    }
}

#[test]
fn secret_file_with_a_carriage_return_is_an_error_for_every_secret() {
    let directory = Directory::new("rule");
    let windows = directory.file("windows", "hunter2\r\n");
    let names: Vec<_> =
        SETTINGS.iter().filter(|spec| spec.is_secret).map(|spec| format!("{}_FILE", spec.name)).collect();
    assert!(!names.is_empty());
    for name in names {
        let errors = parse(&[(name.as_str(), &windows)]).unwrap_err();
        let expected = format!("{name}: the file {windows:?} holds a carriage return");
        assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{errors:?}");
    }
}

#[test]
fn secret_and_its_file_in_one_source_are_an_error() {
    let both = [("AZURE_DEVOPS_PAT", "hunter2"), ("AZURE_DEVOPS_PAT_FILE", "/nonexistent")];
    let by_dotenv = Sources::default().with_dotenv("AZURE_DEVOPS_PAT=hunter2\nAZURE_DEVOPS_PAT_FILE=/nonexistent");
    for sources in [environment(&both), by_dotenv] {
        let message = Settings::parse(&sources, |_| Ok(())).unwrap_err().to_string();

        let error = "AZURE_DEVOPS_PAT_FILE: is set beside AZURE_DEVOPS_PAT; keep one of the two";
        assert_eq!(message, format!("wrong settings:\n  {error}"));
    }
}

#[test]
fn secret_and_its_file_in_two_sources_take_the_later_one() {
    let directory = Directory::new("later");
    let file = directory.file("password", "from-file");
    let base = [("DATABASE_HOST", "h"), ("DATABASE_NAME", "n"), ("DATABASE_USER", "u")];
    let with = |name: &'static str, value: &str| environment(&[&base[..], &[(name, value)]].concat());
    let file_later = with("DATABASE_PASSWORD_FILE", &file).with_dotenv("DATABASE_PASSWORD=old");
    let text_later = with("DATABASE_PASSWORD", "given").with_dotenv("DATABASE_PASSWORD_FILE=/nonexistent");
    for (sources, password, line) in [
        (file_later, "from-file", format!("DATABASE_PASSWORD=********  # file {file}")),
        (text_later, "given", "DATABASE_PASSWORD=********  # environment".to_owned()),
    ] {
        let (settings, ()) = Settings::parse(&sources, |_| Ok(())).unwrap();

        assert_eq!(url(&settings), format!("postgresql://u:{password}@h:5432/n"));
        assert!(settings.lines.contains(&line), "{line} in {:#?}", settings.lines);
    }
}

#[test]
fn credentials_in_a_plain_setting_are_masked() {
    let names = SETTINGS.iter().filter(|spec| !spec.is_secret).map(|spec| spec.name);
    for name in names {
        for value in [
            "https://u:hunter2@h/x",
            "https://hunter2@h",
            "u:hunter2@h",
            "https://u:hunter2/x@h",
            "https://h/x?key=hunter2",
            "https://h#hunter2",
            "h?hunter2",
        ] {
            let output = match parse(&[(name, value)]) {
                Ok(settings) => settings.lines.join("\n"),
                Err(errors) => errors.join("\n"),
            };
            assert!(output.contains(name) && !output.contains("hunter2"), "{name}={value}: {output}");
        }
    }
}

#[test]
fn lines_contain_every_setting_with_value_and_source() {
    let sources =
        environment(&[("API_PORT", "9"), ("LOG", "a\u{1b}b\nc"), ("AZURE_DEVOPS_PAT", "hunter2"), ("API_HOST", "")])
            .with_dotenv("DATABASE_SCHEMA=tenant\nDATABASE_URL=postgresql://u:hunter2@h/d")
            .with_overrides([("ENVIRONMENT", "development")]);

    let (settings, ()) = Settings::parse(&sources, |_| Ok(())).unwrap();

    let lines = &settings.lines;
    for line in [
        "ENVIRONMENT=development  # command",
        "API_HOST=0.0.0.0  # default",
        "API_PORT=9  # environment",
        "LOG=a\u{fffd}b\u{fffd}c  # environment",
        "DATABASE_URL=postgresql://u:********@h/d  # .env",
        "DATABASE_PASSWORD=  # default",
        "DATABASE_SCHEMA=tenant  # .env",
        "AZURE_DEVOPS_PAT=********  # environment",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line} in {lines:#?}");
    }
    let names: Vec<_> = lines.iter().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, SETTINGS.iter().map(|spec| spec.name).collect::<Vec<_>>());
}

#[test]
fn debug_and_lines_contain_no_secret() {
    let secret = "5ecret-5ecret-5ecret-5ecret-5ecret";
    let url = format!("postgresql://u:{secret}@h/d?password={secret}");
    let settings = parse(&[
        ("DATABASE_URL", &url),
        ("DATABASE_DIRECT_URL", &url),
        ("DATABASE_PASSWORD", secret),
        ("AZURE_DEVOPS_PAT", secret),
        ("EXTENSION_APP_KEYS", secret),
        ("SENTRY_DSN", &format!("https://{secret}@h/1")),
        ("REDIS_URL", &format!("redis://:{secret}@h")),
        ("SHARED_KEY", secret),
    ])
    .unwrap();

    let output = format!("{settings:?} {settings:#?} {}", settings.lines.join("\n"));

    assert!(!output.contains("5ecret"), "{output}");
}
