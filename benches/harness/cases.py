"""Which loads are compared, and the goals of the project."""

import json

from harness.data import PROJETO, empty
from harness.load import Case, Load
from harness.server import TOKEN

LIST = "/api/v1/atividades"
CREATE = json.dumps({"nome": "Revisar contrato", "descricao": "Com o jurídico", "id_projeto": PROJETO})

HAND_WRITTEN, POOLED, OFF = "hand-written", "hand-written, without pipelining", "authentication off"


def paths_by_id(cluster, database):
    return tuple(f"{LIST}/{id}" for (id,) in cluster.sql(database, "SELECT id FROM atividades ORDER BY criado_em"))


def cases(cluster, servers, by_id):
    """In the order of the table. `servers` are: ours, theirs (1,000 rows); many, theirs_many (10,000); the rest by name."""
    ours, theirs, many, theirs_many = (servers[name] for name in ("ours", "theirs", "many", "theirs_many"))
    auth, production, pooled = (servers[name] for name in ("auth", "production", "theirs_pooled"))
    known, alone = {"token": TOKEN}, {"connections": 1}

    def page(server, limit=50, **options):
        return Load(server, (f"{LIST}?limit={limit}",), **options)

    def create(server, database, **options):
        return Load(servers[server], (LIST,), body=CREATE, prepare=lambda: empty(cluster, database), **options)

    def creates(**options):
        return create("create", "create_ours", **options), HAND_WRITTEN, create("theirs_create", "create_theirs", **options)

    return [
        Case("by id", Load(ours, by_id), HAND_WRITTEN, Load(theirs, by_id), 1.0),
        Case("page of 50 out of 1,000", page(ours), HAND_WRITTEN, page(theirs), 1.0),
        Case("page of 50 out of 10,000", page(many), HAND_WRITTEN, page(theirs_many), 1.0),
        Case("page of 1,000", page(ours, 1000), HAND_WRITTEN, page(theirs, 1000), 0.9),
        Case("create", *creates(), 1.0),
        Case("by id, one client", Load(ours, by_id, **alone), HAND_WRITTEN, Load(theirs, by_id, **alone), 0.8),
        Case("create, one client", *creates(**alone), 0.8),
        Case("by id, authentication on", Load(auth, by_id, **known), OFF, Load(ours, by_id), 0.9),
        Case("page of 50, authentication on", page(auth, **known), OFF, page(ours), 0.9),
        Case("by id", Load(ours, by_id), POOLED, Load(pooled, by_id), None),
        Case("page of 50 out of 1,000", page(ours), POOLED, page(pooled), None),
        Case("by id, as in production", Load(production, by_id, **known), HAND_WRITTEN, Load(theirs, by_id), None),
        Case("page of 50, as in production", page(production, **known), HAND_WRITTEN, page(theirs), None),
    ]


def check_same_answers(ours, theirs, paths):
    """Both have to answer the same bytes, or the comparison means nothing."""
    for path in paths:
        one, other = ours.ask("GET", path), theirs.ask("GET", path)
        if one != other or one[0] != 200:
            raise SystemExit(f"GET {path}: the servers answer differently:\n{one}\n{other}")


def check_same_creation(ours, theirs):
    """The same but for what is new in each: the id and the times."""

    def answer(server):
        status, kind, body = server.ask("POST", LIST, CREATE)
        new = ("id", "criado_em", "atualizado_em")
        return status, kind, [(name, name in new or value) for name, value in json.loads(body).items()]

    one, other = answer(ours), answer(theirs)
    if one != other or one[0] != 201:
        raise SystemExit(f"POST {LIST}: the servers answer differently:\n{one}\n{other}")
