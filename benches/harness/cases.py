"""Which loads are compared, and the goals of the project."""

import json

from harness.data import PROJETO, empty
from harness.load import Case, Load
from harness.server import TOKEN

LIST = "/api/v1/atividades"
PAGE = f"{LIST}?limit=50"
CREATE = json.dumps({"nome": "Revisar contrato", "descricao": "Com o jurídico", "id_projeto": PROJETO})

HAND_WRITTEN, POOLED, OFF = "hand-written", "hand-written, without pipelining", "authentication off"


def paths_by_id(cluster, database):
    return tuple(f"{LIST}/{id}" for (id,) in cluster.sql(database, "SELECT id FROM atividades ORDER BY criado_em"))


def deep_page(big, rows):
    """Nine tenths into the list, and the cursor that leads on from there."""
    deep = rows * 9 // 10
    proximo = big.json("GET", f"{PAGE}&apos=&skip={deep}")["proximo"]
    by_cursor, by_skip = (big.json("GET", f"{PAGE}&{there}") for there in (f"apos={proximo}", f"skip={deep + 50}"))
    if by_cursor["items"] != by_skip["items"]:
        raise RuntimeError("the cursor and `skip` lead to different pages")
    return deep, proximo


def cases(cluster, servers, by_id, rows):
    """In the order of the table. `servers` are: ours, theirs (1,000 rows); big, theirs_big (many); the rest by name."""
    ours, theirs, big, theirs_big = (servers[name] for name in ("ours", "theirs", "big", "theirs_big"))
    deep, proximo = deep_page(big, rows)
    many = f"{rows:,}"

    def page(server, more="", **options):
        return Load(server, (PAGE + more,), **options)

    def create(server, database):
        return Load(servers[server], (LIST,), body=CREATE, prepare=lambda: empty(cluster, database))

    active, of_one = "&ativo=true", f"&id_projeto={PROJETO}"
    same = "the same out of 1,000"
    auth, production, pooled = (servers[name] for name in ("auth", "production", "theirs_pooled"))
    known = {"token": TOKEN}
    return [
        Case("by id", Load(ours, by_id), HAND_WRITTEN, Load(theirs, by_id), 0.85),
        Case("page of 50 out of 1,000", page(ours), HAND_WRITTEN, page(theirs), 0.85),
        Case(
            "page of 1,000",
            Load(ours, (f"{LIST}?limit=1000",)),
            HAND_WRITTEN,
            Load(theirs, (f"{LIST}?limit=1000",)),
            0.85,
        ),
        Case(
            "create",
            create("create", "create_ours"),
            HAND_WRITTEN,
            create("theirs_create", "create_theirs"),
            0.85,
        ),
        Case(f"page of 50 out of {many}", page(big), same, page(ours), 0.7),
        Case(f"page of 50 out of {many}, ativo", page(big, active), same, page(ours, active), 0.7),
        Case(f"page of 50 out of {many}, id_projeto", page(big, of_one), same, page(ours, of_one), 0.7),
        Case(f"page of 50 out of {many}", page(big), HAND_WRITTEN, page(theirs_big), None),
        Case(f"skip={deep}", page(big, f"&skip={deep}"), "the first page", page(big), 0.1),
        Case(f"apos, {deep:,} deep", page(big, f"&apos={proximo}"), "apos, the first page", page(big, "&apos="), 0.9),
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
