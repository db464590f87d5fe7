"""The service that is replaced: its tables with rows, and its responses to the requests of clients, derived from them."""

import http.server
import json
import threading
import urllib.parse

# The second generation, as its ORM creates it.
TABLES = """
CREATE SCHEMA {old}; SET search_path = {old};
CREATE TABLE projetos (
    id uuid PRIMARY KEY, external_id uuid NOT NULL UNIQUE, nome varchar NOT NULL, descricao text, url varchar, estado varchar,
    organizacao varchar, last_sync_at timestamptz, created_at timestamptz, updated_at timestamptz
);
CREATE TABLE atividades (
    id uuid PRIMARY KEY, nome varchar(255) NOT NULL, descricao text, ativo boolean NOT NULL, criado_por varchar(255),
    criado_em timestamp NOT NULL, atualizado_em timestamp NOT NULL
);
CREATE TABLE atividade_projeto (
    id uuid PRIMARY KEY, id_atividade uuid NOT NULL REFERENCES atividades, id_projeto uuid NOT NULL REFERENCES projetos,
    criado_em timestamp NOT NULL
);
CREATE TABLE apontamentos (
    id uuid PRIMARY KEY, work_item_id integer NOT NULL, project_id varchar(255) NOT NULL, organization_name varchar(255) NOT NULL,
    data_apontamento date NOT NULL, duracao varchar(5) NOT NULL, id_atividade uuid NOT NULL REFERENCES atividades,
    comentario varchar(500), usuario_id varchar(255) NOT NULL, usuario_nome varchar(255) NOT NULL, usuario_email varchar(255),
    criado_em timestamp NOT NULL, atualizado_em timestamp NOT NULL
);
"""
# A fifth of the entries name their project by its local id. A person has one or two entries on a day.
ROWS = """
INSERT INTO projetos SELECT md5('p' || n)::uuid, md5('guid' || n)::uuid, 'Projeto ' || n, NULL, 'https://exemplo/' || n, 'wellFormed',
    'exemplo', '2026-01-01Z', '2025-01-01Z', '2026-01-01Z' FROM generate_series(1, {projects}) n;
INSERT INTO atividades SELECT md5('a' || n)::uuid, 'Atividade ' || n, NULL, n % 7 <> 0, 'ana@exemplo.br', '2025-01-01', '2025-01-02'
FROM generate_series(1, {activities}) n;
INSERT INTO atividade_projeto SELECT md5('ap' || n)::uuid, md5('a' || n)::uuid, md5('p' || n % {projects} + 1)::uuid, '2025-01-01'
FROM generate_series(1, {activities}) n;
INSERT INTO apontamentos
SELECT md5('e' || n)::uuid, 1 + n % {work_items}, md5(CASE WHEN n % 5 = 0 THEN 'p' ELSE 'guid' END || n % {projects} + 1)::uuid, 'exemplo',
       '2023-01-01'::date + n % 1000, '0' || n % 7 || ':' || 10 + n % 50, md5('a' || n % {activities} + 1)::uuid,
       CASE WHEN n % 2 = 0 THEN 'Correção do erro nº ' || n END, 'pessoa-' || person, 'Pessoa ' || person, 'pessoa' || person || '@exemplo.br',
       '2023-01-01 12:00:00.123456'::timestamp + n * interval '1 minute', '2023-01-01 12:00:00.123460'::timestamp + n * interval '1 minute'
FROM generate_series(1, {entries}) n, LATERAL (SELECT n / {entries_per_person} % 400 AS person) p;
"""
MINUTES = "split_part(duracao, ':', 1)::integer * 60 + split_part(duracao, ':', 2)::integer"
HOURS = f"round(sum({MINUTES}) / 60.0, 2)::float"
ENTRY = """json_build_object('id', e.id, 'work_item_id', work_item_id, 'duracao', duracao, 'data_apontamento', data_apontamento,
    'comentario', comentario, 'usuario_id', usuario_id, 'usuario_nome', usuario_nome,
    'atividade', (SELECT json_build_object('id', a.id, 'nome', a.nome) FROM atividades a WHERE a.id = e.id_atividade))"""
ACTIVITY = """json_build_object('id', id, 'nome', nome, 'ativo', ativo, 'criado_por', criado_por, 'projetos',
    (SELECT json_agg(json_build_object('id', p.id, 'nome', p.nome)) FROM atividade_projeto ap JOIN projetos p ON p.id = ap.id_projeto
     WHERE ap.id_atividade = a.id))"""
QUERIES = {
    "projetos": "SELECT json_agg(json_build_object('id', id, 'external_id', external_id, 'nome', nome)) FROM projetos",
    "atividades": f"SELECT json_build_object('items', json_agg({ACTIVITY}), 'total', count(*)) FROM atividades a",
    "atividades/ID": f"SELECT {ACTIVITY} FROM atividades a WHERE id = 'ID'",
    "apontamentos/ID": f"SELECT {ENTRY} FROM apontamentos e WHERE id = 'ID'",
    "apontamentos/work-item/ID": f"""SELECT json_build_object('items', json_agg({ENTRY}), 'total', count(*), 'total_horas', {HOURS})
        FROM apontamentos e WHERE work_item_id = ID""",
    "apontamentos/work-item/ID/resumo": f"""SELECT json_build_object('total_apontamentos', count(*), 'total_horas', {HOURS},
        'por_atividade', (SELECT json_agg(json_build_object('id', a.id, 'nome', a.nome, 'total_horas', h.hours)) FROM
            (SELECT id_atividade, {HOURS} AS hours FROM apontamentos WHERE work_item_id = ID GROUP BY 1) h JOIN atividades a ON a.id = h.id_atividade),
        'por_usuario', (SELECT json_agg(json_build_object('id', usuario_id, 'nome', nome, 'total_horas', hours)) FROM
            (SELECT usuario_id, min(usuario_nome) AS nome, {HOURS} AS hours FROM apontamentos WHERE work_item_id = ID GROUP BY 1) h))
        FROM apontamentos WHERE work_item_id = ID""",
}


def fill(schema, entries, *, projects=200, activities=500, work_items=20_000, entries_per_person=1000):
    """The statements that create the tables in `schema` with so many rows."""
    rows = ROWS.format(entries=entries, projects=projects, activities=activities, work_items=work_items, entries_per_person=entries_per_person)
    return TABLES.format(old=schema) + rows


class OldService:
    """Responds to requests from the tables in `schema`, as the old service does, until it is stopped."""

    def __init__(self, cluster, database, schema):
        self.cluster, self.database, self.schema = cluster, database, schema
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                response = service.response(urllib.parse.urlsplit(self.path).path)
                body = response.encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.handler, self.server = Handler, None

    def response(self, path):
        if path == "/":
            return json.dumps({"service": "old"})
        name, given = path.removeprefix("/api/v1/"), None
        if name not in QUERIES:
            # The id is the only part of a path that varies.
            words = name.split("/")
            place = 2 if "work-item" in words else 1
            given, words[place] = words[place], "ID"
            name = "/".join(words)
        return self.sql(QUERIES[name].replace("ID", given or "")).strip()

    def sql(self, text):
        return self.cluster.sql(f"SET search_path = {self.schema}; {text}", self.database)

    def start(self, port=0):
        """Returns the port."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self.handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_port

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
