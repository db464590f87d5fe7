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


PROJETO = create_projeto()


def reference_existing_projeto(body):
    """Replaces every reference to a projeto by one to the created projeto."""
    if isinstance(body, dict):
        if "id_projeto" in body:
            body["id_projeto"] = PROJETO
        if "ids_projetos" in body:
            body["ids_projetos"] = [PROJETO]
        for item in body["items"] if isinstance(body.get("items"), list) else []:
            reference_existing_projeto(item)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is not None and case.meta.generation.mode == GenerationMode.NEGATIVE:
        return
    reference_existing_projeto(case.body)
    # A new atividade needs one of the two fields.
    if case.method == "POST" and "/atividades" in case.path and isinstance(case.body, dict):
        for item in case.body.get("items", [case.body]):
            if isinstance(item, dict) and "ids_projetos" not in item:
                item["id_projeto"] = PROJETO
    # A cursor comes from an earlier page, an ETag from a response, and a key is new for each request.
    if "apos" in (case.query or {}):
        case.query["apos"] = ""
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"
    if case.headers is not None:
        case.headers.pop("Idempotency-Key", None)
