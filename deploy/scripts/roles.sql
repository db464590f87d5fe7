-- The roles of the database. psql runs it as the superuser, again at any time, also while the service runs. Each statement
-- is a transaction of its own and holds locks only for one change of an owner.
--
-- Variables: schema, api_password and, with the monitoring overlay, exporter_password.
\set ON_ERROR_STOP on
\set VERBOSITY sqlstate
-- A statement that waits for a lock blocks the statements behind it.
SET lock_timeout = '2s';
-- Keeps passwords out of the log of the server.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET client_min_messages = 'warning';
SET password_encryption = 'scram-sha-256';

-- The service migrates its schema, so it owns it. CREATE on the database is for a schema that does not exist yet.
SELECT 'CREATE ROLE aponta_api' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'aponta_api') \gexec
ALTER ROLE aponta_api LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'api_password';
SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO aponta_api', current_database()) \gexec

-- Makes aponta_api the owner of an existing schema and its objects. Objects of extensions keep their owner, and a sequence
-- of a column follows its table.
WITH found AS (SELECT oid FROM pg_namespace WHERE nspname = :'schema'),
     objects (class, object, owner, kind, name) AS (
    SELECT 'pg_namespace'::regclass, oid, nspowner, 'SCHEMA', quote_ident(nspname)
    FROM pg_namespace WHERE oid IN (TABLE found)
    UNION ALL
    SELECT 'pg_class'::regclass, oid, relowner,
           CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
           oid::regclass::text
    FROM pg_class WHERE relnamespace IN (TABLE found) AND relkind IN ('r', 'p', 'v', 'm', 'S')
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, proowner, 'ROUTINE', oid::regprocedure::text
    FROM pg_proc WHERE pronamespace IN (TABLE found)
    UNION ALL
    SELECT 'pg_type'::regclass, oid, typowner, 'TYPE', oid::regtype::text
    FROM pg_type WHERE typnamespace IN (TABLE found) AND typtype IN ('d', 'e')
)
SELECT format('ALTER %s %s OWNER TO aponta_api', kind, name)
FROM objects o
WHERE owner <> 'aponta_api'::regrole
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.object
                  AND (d.deptype = 'e' OR o.kind = 'SEQUENCE' AND d.deptype IN ('a', 'i')))
\gexec

\if :{?exporter_password}
SELECT 'CREATE ROLE aponta_exporter' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'aponta_exporter') \gexec
ALTER ROLE aponta_exporter LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'exporter_password';
GRANT pg_monitor TO aponta_exporter;
-- Only where the server has loaded the library: a running one loads it when update.sh recreates it.
SELECT 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public'
WHERE current_setting('shared_preload_libraries') ~ 'pg_stat_statements' \gexec
\endif
