"""Checks that the relative links of the documents lead to files and headings, and that the index of decisions is complete.

usage: links.py
"""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def documents():
    # docs/rustdoc is a page of rustdoc, whose links lead to what it generates.
    listed = subprocess.run(["git", "ls-files", "-z", "*.md", ":!docs/rustdoc"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def anchors(document):
    """Returns the anchors of the headings, as the usual renderers make them."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_lead_somewhere():
    count = 0
    for document in documents():
        for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
            target = (document.parent / path) if path else document
            here = f"{document.relative_to(ROOT)}: {path}#{anchor}"
            assert target.exists(), f"{here} does not exist"
            assert not anchor or target.suffix != ".md" or anchor in anchors(target), f"{here}: there is no such heading"
            count += 1
    assert count > 100, count
    print(f"ok {count} links of the documents lead somewhere", flush=True)


def index_has_every_decision():
    directory = ROOT / "docs/adr"
    records = sorted(path.name for path in directory.glob("[0-9]*.md"))
    indexed = sorted(re.findall(r"\((\d{4}-[^)]+)\)", (directory / "README.md").read_text(encoding="utf-8")))
    assert records == indexed, set(records) ^ set(indexed)
    print(f"ok the index has all {len(records)} decisions", flush=True)


if __name__ == "__main__":
    links_lead_somewhere()
    index_has_every_decision()
