//! What addresses mean: one table of those that are used, one of those that are refused.

use secrecy::ExposeSecret;

use super::*;

/// `hosts user:password/database mode`, and what differs from the default.
fn summary(url: &str) -> Result<String, InvalidUrl> {
    let conninfo = Conninfo::parse(url)?;
    let hosts: Vec<_> = conninfo.hosts().iter().map(ToString::to_string).collect();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let password = conninfo.password.as_ref().map_or("", |password| password.expose_secret());
    let (user, database, mode) = (text(&conninfo.user), text(&conninfo.database), conninfo.tls.mode);
    let is_default = conninfo.session_attrs() == SessionAttrs::default();
    let name = &conninfo.application_name;
    let others = [
        (!is_default).then(|| format!("{:?}", conninfo.session_attrs())),
        conninfo.connect_timeout().map(|timeout| format!("{timeout:?}")),
        (name != APPLICATION_NAME).then(|| format!("name={name}")),
        conninfo.startup_options.as_ref().map(|options| format!("options={options}")),
    ];
    let plain = format!("{} {user}:{password}/{database} {mode:?}", hosts.join(","));
    Ok([plain].into_iter().chain(others.into_iter().flatten()).collect::<Vec<_>>().join(" "))
}

const ADDRESSES: &[(&str, &str)] = &[
    // Spellings of one address
    ("postgres://maria:segredo@db.exemplo:6543/aponta", "db.exemplo:6543 maria:segredo/aponta Prefer"),
    (" PostgreSQL://maria:segredo@db.exemplo:6543/aponta\r\n", "db.exemplo:6543 maria:segredo/aponta Prefer"),
    ("postgresql+asyncpg://u:p@h/d?ssl=require", "h:5432 u:p/d Require"),
    ("postgresql+psycopg2://u:p@h/d?", "h:5432 u:p/d Prefer"),
    ("postgres://127.0.0.1", "127.0.0.1:5432 :/ Prefer"),
    ("postgresql://h/d?user=u&password=p%26", "h:5432 u:p&/d Prefer"),
    ("postgresql://h?dbname=d&user=u", "h:5432 u:/d Prefer"),
    ("postgres://m%40x:%25%40%3A%2F%3F%23@h/a%20b", "h:5432 m@x:%@:/?#/a b Prefer"),
    ("postgres://u:a@b@h:1/d", "h:1 u:a@b/d Prefer"),
    ("postgres://joão:ação@h/d", "h:5432 joão:ação/d Prefer"),
    // Hosts
    ("postgres://u@[::1]:6543/d", "[::1]:6543 u:/d Prefer"),
    ("postgres://u@[2001:db8::1]/d", "[2001:db8::1]:5432 u:/d Prefer"),
    ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d", "/var/run/postgresql:5432 u:/d Prefer"),
    ("postgres:///d?host=/var/run/postgresql&port=6543", "/var/run/postgresql:6543 :/d Prefer"),
    ("postgres://u:p@localhost/d?host=/cloudsql/a:b:c", "/cloudsql/a:b:c:5432 u:p/d Prefer"),
    ("postgres://u@my_db.internal./d", "my_db.internal.:5432 u:/d Prefer"),
    ("postgres://u@h:5432/d?hostaddr=10.0.0.1", "10.0.0.1:5432 u:/d Prefer"),
    ("postgres://u:p@h1:5432,h2:6432/d", "h1:5432,h2:6432 u:p/d Prefer"),
    ("postgres://u@h1,h2:6432,[::1]/d", "h1:5432,h2:6432,[::1]:5432 u:/d Prefer"),
    ("postgres:///d?host=a,b&port=1,2", "a:1,b:2 :/d Prefer"),
    ("postgres:///d?host=a,b&port=6432", "a:6432,b:6432 :/d Prefer"),
    ("postgres:///d?host=a,b,c&port=1,,3", "a:1,b:5432,c:3 :/d Prefer"),
    ("postgres://u@h:6432/d?host=a,b", "a:6432,b:6432 u:/d Prefer"),
    ("postgres://u@a,b/d?target_session_attrs=read-write", "a:5432,b:5432 u:/d Prefer"),
    ("postgres://u@a,b/d?target_session_attrs=primary&load_balance_hosts=random", "a:5432,b:5432 u:/d Prefer Primary"),
    ("postgres://u@h/d?target_session_attrs=any", "h:5432 u:/d Prefer Any"),
    ("postgres://u@h/d?target_session_attrs=standby", "h:5432 u:/d Prefer Standby"),
    ("postgres://u@h/d?target_session_attrs=read-only", "h:5432 u:/d Prefer ReadOnly"),
    ("postgres://u@h/d?target_session_attrs=prefer-standby", "h:5432 u:/d Prefer PreferStandby"),
    // Encryption
    ("postgres://u@h/d?sslmode=disable", "h:5432 u:/d Disable"),
    ("postgres://u@h/d?sslmode=allow", "h:5432 u:/d Prefer"),
    ("postgres://u@h/d?sslmode=Require", "h:5432 u:/d Require"),
    ("postgres://u@h/d?sslmode=verify-ca", "h:5432 u:/d Verify"),
    ("postgres://u@h/d?sslmode=verify-full&sslrootcert=system", "h:5432 u:/d Verify"),
    ("postgres://u@h/d?sslrootcert=system", "h:5432 u:/d Verify"),
    ("postgres://u@h/d?sslrootcert=/ca.pem", "h:5432 u:/d Verify"),
    ("postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem", "h:5432 u:/d Verify"),
    ("postgres://u@h/d?sslmode=prefer&sslrootcert=/ca.pem", "h:5432 u:/d Prefer"),
    ("postgres://u@h/d?ssl=true", "h:5432 u:/d Require"),
    ("postgres://u@h/d?ssl=false", "h:5432 u:/d Disable"),
    ("postgres://u@h/d?sslmode=no-verify&uselibpqcompat=true", "h:5432 u:/d Require"),
    ("postgres://u@h/d?sslmode=require&sslcert=/c.pem&sslkey=/k.pem", "h:5432 u:/d Require"),
    ("postgres://u@h/d?sslnegotiation=postgres&sslsni=1&ssl_min_protocol_version=TLSv1.2", "h:5432 u:/d Prefer"),
    ("postgres://u@h/d?gssencmode=disable&krbsrvname=postgres", "h:5432 u:/d Prefer"),
    ("postgres://u@h/d?channel_binding=prefer", "h:5432 u:/d Prefer"),
    ("postgres://u@h/d?channel_binding=disable", "h:5432 u:/d Prefer"),
    // Other parameters
    ("postgres://u@h/d?connect_timeout=10&application_name=outra", "h:5432 u:/d Prefer 10s name=outra"),
    ("postgres://u@h/d?connect_timeout=0&fallback_application_name=a", "h:5432 u:/d Prefer name=a"),
    (
        "postgres://u@h/d?keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=9",
        "h:5432 u:/d Prefer",
    ),
    ("postgres://u@h/d?client_encoding=UTF8", "h:5432 u:/d Prefer"),
    (
        "postgres://u@h/d?options=-c%20geqo%3Doff%20--statement_timeout%3D5s",
        "h:5432 u:/d Prefer options=-c geqo=off --statement_timeout=5s",
    ),
    ("postgres://u@h/d?options=-c geqo=off&options=-c role=a", "h:5432 u:/d Prefer options=-c geqo=off -c role=a"),
    // Neon: direct, pooled, with the endpoint for clients without SNI
    (
        "postgresql://neondb_owner:npg_x1@ep-cool-rain-123456.us-east-2.aws.neon.tech/neondb?sslmode=require",
        "ep-cool-rain-123456.us-east-2.aws.neon.tech:5432 neondb_owner:npg_x1/neondb Require",
    ),
    (
        "postgresql://alex:p@ep-x-pooler.us-east-2.aws.neon.tech/d?sslmode=require&options=endpoint%3Dep-x-pooler",
        "ep-x-pooler.us-east-2.aws.neon.tech:5432 alex:p/d Require options=endpoint=ep-x-pooler",
    ),
    // Supabase: direct, session pooler, transaction pooler, and for Prisma and Vercel
    (
        "postgresql://postgres:p@db.abcdefghijklmnopqrst.supabase.co:5432/postgres",
        "db.abcdefghijklmnopqrst.supabase.co:5432 postgres:p/postgres Prefer",
    ),
    (
        "postgresql://postgres.abcdefghijklmnopqrst:p@aws-0-us-east-1.pooler.supabase.com:5432/postgres",
        "aws-0-us-east-1.pooler.supabase.com:5432 postgres.abcdefghijklmnopqrst:p/postgres Prefer",
    ),
    (
        "postgres://postgres.abc:p@aws-0-sa-east-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
        "aws-0-sa-east-1.pooler.supabase.com:6543 postgres.abc:p/postgres Prefer",
    ),
    (
        "postgres://postgres.abc:p@aws-0-sa-east-1.pooler.supabase.com:6543/postgres\
         ?sslmode=require&supa=base-pooler.x&pool_timeout=20",
        "aws-0-sa-east-1.pooler.supabase.com:6543 postgres.abc:p/postgres Require",
    ),
    // Amazon RDS, Azure Flexible Server and its older user@server, Heroku
    (
        "postgresql://postgres:p@db.c1a2b3.us-east-1.rds.amazonaws.com:5432/d?sslmode=verify-full&sslrootcert=/b.pem",
        "db.c1a2b3.us-east-1.rds.amazonaws.com:5432 postgres:p/d Verify",
    ),
    (
        "postgresql://admin:p@srv.postgres.database.azure.com:5432/postgres?sslmode=require",
        "srv.postgres.database.azure.com:5432 admin:p/postgres Require",
    ),
    (
        "postgres://admin%40srv:p@srv.postgres.database.azure.com/d?sslmode=require",
        "srv.postgres.database.azure.com:5432 admin@srv:p/d Require",
    ),
    (
        "postgres://admin@srv:p@srv.postgres.database.azure.com:5432/d?sslmode=require",
        "srv.postgres.database.azure.com:5432 admin@srv:p/d Require",
    ),
    (
        "postgres://ue1:pd2f0@ec2-52-1-2-3.compute-1.amazonaws.com:5432/d5abc",
        "ec2-52-1-2-3.compute-1.amazonaws.com:5432 ue1:pd2f0/d5abc Prefer",
    ),
];

#[test]
fn url_of_each_provider_parses() {
    for (url, expected) in ADDRESSES {
        assert_eq!(summary(url).as_deref(), Ok(*expected), "{url}");
    }
}

#[test]
fn ambiguous_url_is_an_error_without_its_parts() {
    let options_of_mode = "disable, allow, prefer, require, verify-ca or verify-full";
    let cases = [
        ("", InvalidUrl::Scheme),
        ("segredo", InvalidUrl::Scheme),
        ("mysql://u:segredo@h/d", InvalidUrl::Scheme),
        ("postgres:u:segredo@h/d", InvalidUrl::Scheme),
        ("jdbc:postgresql://h/d?user=u&password=segredo", InvalidUrl::Scheme),
        ("\"postgres://u:segredo@h/d\"", InvalidUrl::Scheme),
        ("host=h user=u password=segredo", InvalidUrl::Scheme),
        ("postgres://u:segredo@", InvalidUrl::Host),
        ("postgres:///d", InvalidUrl::Host),
        ("postgres://u:segredo@:5432/d", InvalidUrl::Host),
        ("postgres://u:segredo@a,,b/d", InvalidUrl::Host),
        ("postgres:///d?host=", InvalidUrl::Host),
        ("postgres://u:segredo@h%20/d", InvalidUrl::HostName),
        ("postgres://u:segredo@ação.segredo/d", InvalidUrl::HostName),
        ("postgres:///d?host=a:5432", InvalidUrl::HostName),
        ("postgres:///d?host=%40segredo", InvalidUrl::HostName),
        ("postgres://u:segredo@h:0/d", InvalidUrl::Port),
        ("postgres://u:segredo@h:65536/d", InvalidUrl::Port),
        ("postgres://u:segredo@h:/d", InvalidUrl::Port),
        ("postgres://u:segredo@h:5432x/d", InvalidUrl::Port),
        ("postgres://u:segredo@h:a:5432/d", InvalidUrl::Port),
        ("postgres://u:segredo@h1,h2:x/d", InvalidUrl::Port),
        ("postgres://u:segredo@h1,h2,h3/d?port=1,2", InvalidUrl::PortCount),
        ("postgres://u:segredo@h1:1,h2:2/d?host=a,b,c", InvalidUrl::PortCount),
        ("postgres://u:seg#redo@h/d", InvalidUrl::Unencoded),
        ("postgres://u:seg/redo@h/d", InvalidUrl::Unencoded),
        ("postgres://u:1/segredo@h/d", InvalidUrl::Unencoded),
        ("postgres://u:seg@x/redo@h/d", InvalidUrl::Unencoded),
        ("postgres://u:seg?redo@h/d", InvalidUrl::Unencoded),
        ("postgres://u:seg redo@h/d", InvalidUrl::Unencoded),
        ("postgres://u:segredo@h/d?sslmode=a\tb", InvalidUrl::Unencoded),
        ("postgres://u:seg@x?redo@h/d", InvalidUrl::Parameter),
        ("postgres://u:segredo@h/d?sslmod=require", InvalidUrl::Parameter),
        ("postgres://u:segredo@h/d?segredo", InvalidUrl::Parameter),
        (
            "postgres://u:segredo@h/d?sslmode=segredo",
            InvalidUrl::Value { parameter: "sslmode", allowed: options_of_mode },
        ),
        ("postgres://u:50%segredo@h/d", InvalidUrl::Percent),
        ("postgres://u:segredo%@h/d", InvalidUrl::Percent),
        ("postgres://u:segredo%+1@h/d", InvalidUrl::Percent),
        ("postgres://u:segredo%4@h/d", InvalidUrl::Percent),
        ("postgres://u:segredo%ff@h/d", InvalidUrl::Text),
        ("postgres://u:segredo%00@h/d", InvalidUrl::Text),
        ("postgres://u:segredo@h/d?options=-c%20search_path%3Dsegredo", InvalidUrl::SearchPath),
        ("postgres://u:segredo@h/d?options=segredo", InvalidUrl::Options),
        ("postgres://u:segredo@h/d?user=segredo", InvalidUrl::Repeated("user")),
        ("postgres://u:segredo@h/d?password=segredo", InvalidUrl::Repeated("password")),
        ("postgres://u:segredo@h/d?dbname=segredo", InvalidUrl::Repeated("dbname")),
        ("postgres:///d?host=segredo&host=segredo", InvalidUrl::Repeated("host")),
        ("postgres://u:segredo😀@h/d", InvalidUrl::Credentials(UnusableCredentials::Password)),
        ("postgres://u:segredo%E2%82%BD@h/d", InvalidUrl::Credentials(UnusableCredentials::Password)),
        ("postgres://segredo,x:p@h/d", InvalidUrl::Credentials(UnusableCredentials::User)),
    ];
    for (url, expected) in cases {
        let refused = summary(url).unwrap_err();

        assert_eq!(refused, expected, "{url}");
        assert!(!format!("{refused} {refused:?}").contains("seg"), "{url}");
    }
}

#[test]
fn unsupported_parameter_is_an_error_that_names_it() {
    let parameters = [
        "channel_binding=require",
        "client_encoding=LATIN1",
        "connect_timeout=soon",
        "currentSchema=x",
        "gssencmode=require",
        "hostaddr=10.0.0.1&host=h",
        "min_protocol_version=3.2",
        "passfile=/x",
        "replication=database",
        "require_auth=scram-sha-256",
        "schema=public",
        "search_path=x",
        "service=x",
        "sslaccept=strict",
        "sslcert=/x",
        "sslcrl=/x",
        "sslkey=/x",
        "sslmode=require&ssl=true",
        "sslmode=require&sslrootcert=system",
        "sslnegotiation=direct",
        "sslpassword=x",
        "sslsni=0",
        "ssl_min_protocol_version=TLSv1.3",
        "target_session_attrs=master",
    ];
    for parameter in parameters {
        let refused = summary(&format!("postgres://u:segredo@h/d?{parameter}")).unwrap_err().to_string();
        let name = parameter.split_once('=').unwrap().0;
        let is_named = refused.starts_with(name) || refused.starts_with("host is") || refused.starts_with("ssl");
        assert!(is_named && refused != InvalidUrl::Parameter.to_string(), "{parameter}: {refused}");
    }
}

#[test]
fn debug_hides_password_and_key() {
    let url = "postgres://maria:segredo@db.exemplo/aponta?sslcert=/c.pem&sslkey=segredo";
    let shown = format!("{:?}", Conninfo::parse(url).unwrap());

    assert!(shown.contains("db.exemplo") && !shown.contains("segredo"), "{shown}");
}

#[test]
fn session_attrs_accept_servers_by_recovery_and_read_only() {
    let servers = [(false, false), (false, true), (true, true)];
    for (attrs, expected) in [
        (SessionAttrs::Any, [true, true, true]),
        (SessionAttrs::PreferStandby, [true, true, true]),
        (SessionAttrs::ReadWrite, [true, false, false]),
        (SessionAttrs::ReadOnly, [false, true, true]),
        (SessionAttrs::Primary, [true, true, false]),
        (SessionAttrs::Standby, [false, false, true]),
    ] {
        let accepted = servers.map(|(is_in_recovery, is_read_only)| attrs.accepts(is_in_recovery, is_read_only));
        assert_eq!(accepted, expected, "{attrs:?}");
    }
}
