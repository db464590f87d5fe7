"""Replaces values in generated requests by ids that exist, which the OpenAPI document cannot describe.

Changes valid requests only. Requests that are generated as invalid stay as they are.
"""

import os

import requests
import schemathesis
from schemathesis import GenerationMode

BASE = os.environ["APONTA_BASE"]
HEADERS = {"Authorization": os.environ["APONTA_AUTHORIZATION"]}


def create_projeto():
    response = requests.post(f"{BASE}/api/v1/projetos", json={"nome": "Portal"}, headers=HEADERS, timeout=10)
    return response.json()["id"]


def create_atividade(projeto):
    body = {"nome": "Reuniões", "id_projeto": projeto}
    return requests.post(f"{BASE}/api/v1/atividades", json=body, headers=HEADERS, timeout=10).json()["id"]


PROJETO = create_projeto()
# Values that the service accepts, by the name of their field. A duration of 0:00 has the form of one.
ACCEPTED = {"id_projeto": PROJETO, "ids_projetos": [PROJETO], "project_id": PROJETO, "id_atividade": create_atividade(PROJETO), "organization_name": "exemplo",
            "data_apontamento": "2026-11-27", "duracao": "0:01"}


def replace_values(body):
    """Replaces the values of fields that refer to other resources, or that have bounds which a schema cannot have."""
    if isinstance(body, dict):
        for name in body.keys() & ACCEPTED.keys():
            body[name] = ACCEPTED[name]
        for item in body["items"] if isinstance(body.get("items"), list) else []:
            replace_values(item)


def replace_parameters(query):
    """The same for parameters: a person has a name, a report is grouped by each key once, both ends are in order,
    and a week is of this century."""
    for name, value in (("apos", ""), ("usuario", "eu"), ("agrupar", "projeto,dia"), ("organization_name", "exemplo"), ("project_id", PROJETO),
                        ("de", "2026-11-01"), ("ate", "2026-11-30"), ("week_start", "2026-11-25")):
        if name in query:
            query[name] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is not None and case.meta.generation.mode == GenerationMode.NEGATIVE:
        return
    replace_values(case.body)
    # A new atividade needs one of the two fields.
    if case.method == "POST" and "/atividades" in case.path and isinstance(case.body, dict):
        for item in case.body.get("items", [case.body]):
            if isinstance(item, dict) and "ids_projetos" not in item:
                item["id_projeto"] = PROJETO
    # A cursor comes from an earlier page, an ETag from a response, and a key is new for each request.
    replace_parameters(case.query or {})
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"
    if case.headers is not None:
        case.headers.pop("Idempotency-Key", None)
