"""The loads that are compared, and the goals of the project."""

import json

from comparison.data import PROJETO, empty
from comparison.load import Case, Load
from comparison.server import TOKEN

LIST = "/api/v1/atividades"
CREATE = json.dumps({"nome": "Revisar contrato", "descricao": "Com o jurídico", "id_projeto": PROJETO})

HAND_WRITTEN, POOLED, OFF = "hand-written", "hand-written, without pipelining", "authentication off"


def paths_by_id(cluster, database):
    return tuple(f"{LIST}/{id}" for (id,) in cluster.rows("SELECT id FROM atividades ORDER BY criado_em", database))


def cases(cluster, servers, by_id):
    """In the order of the table. `servers` are: ours, theirs (1,000 rows); many, theirs_many (10,000); the rest by name."""
    ours, theirs, many, theirs_many = (servers[name] for name in ("ours", "theirs", "many", "theirs_many"))
    auth, production, pooled = (servers[name] for name in ("auth", "production", "theirs_pooled"))
    authenticated, alone = {"token": TOKEN}, {"connections": 1}

    def page(server, limit=50, **options):
        return Load(server, (f"{LIST}?limit={limit}",), **options)

    def create(server, database, **options):
        return Load(servers[server], (LIST,), bodies=(CREATE,), prepare=lambda: empty(cluster, database), **options)

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
        Case("by id, authentication on", Load(auth, by_id, **authenticated), OFF, Load(ours, by_id), 0.9),
        Case("page of 50, authentication on", page(auth, **authenticated), OFF, page(ours), 0.9),
        Case("by id", Load(ours, by_id), POOLED, Load(pooled, by_id), None),
        Case("page of 50 out of 1,000", page(ours), POOLED, page(pooled), None),
        Case("by id, as in production", Load(production, by_id, **authenticated), HAND_WRITTEN, Load(theirs, by_id), None),
        Case("page of 50, as in production", page(production, **authenticated), HAND_WRITTEN, page(theirs), None),
    ]


def check_same_responses(ours, theirs, paths):
    """Requires equal bytes from both servers, without which a comparison is meaningless."""
    for path in paths:
        one, other = ours.request("GET", path), theirs.request("GET", path)
        if one != other or one[0] != 200:
            raise SystemExit(f"GET {path}: the responses differ:\n{one}\n{other}")


def check_same_creation(ours, theirs):
    """Requires equal responses except for the id and the times."""

    def create(server):
        status, content_type, body = server.request("POST", LIST, CREATE)
        new = ("id", "criado_em", "atualizado_em")
        return status, content_type, [(name, name in new or value) for name, value in json.loads(body).items()]

    one, other = create(ours), create(theirs)
    if one != other or one[0] != 201:
        raise SystemExit(f"POST {LIST}: the responses differ:\n{one}\n{other}")
