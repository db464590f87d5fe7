"""What Schemathesis cannot know from the description of the API: which values name something that exists.

Only requests that are meant to be good are changed; those that are meant to be bad stay as they are.
"""

import os

import requests
import schemathesis
from schemathesis import GenerationMode

BASE = os.environ["APONTA_BASE"]
HEADERS = {"Authorization": os.environ["APONTA_AUTHORIZATION"]}


def existing_projeto():
    """A projeto that is there."""
    answer = requests.post(f"{BASE}/api/v1/projetos", json={"nome": "Portal"}, headers=HEADERS, timeout=10)
    return answer.json()["id"]


PROJETO = existing_projeto()


def refer_to_what_exists(body):
    """Lets every reference to a projeto be one to a projeto that exists."""
    if isinstance(body, dict):
        if "id_projeto" in body:
            body["id_projeto"] = PROJETO
        for item in body["items"] if isinstance(body.get("items"), list) else []:
            refer_to_what_exists(item)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is not None and case.meta.generation.mode == GenerationMode.NEGATIVE:
        return
    refer_to_what_exists(case.body)
    # A cursor comes from a page before, a tag from an answer, and a key is new for each request.
    if "apos" in (case.query or {}):
        case.query["apos"] = ""
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"
    if case.headers is not None:
        case.headers.pop("Idempotency-Key", None)
