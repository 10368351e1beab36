"""The page as one HTML text: everything that it needs is in it, and nothing that a program or a model said is markup.

A policy (Content-Security-Policy) allows the two scripts of the page by their digests, no other script, and no address.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from bisect import bisect
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from evolve.history import History
from evolve.page.data import Facts, facts_of
from evolve.page.individuals import DETAILS, KINDS, Detail, Individuals
from evolve.page.lineage import graph_of
from evolve.page.plots import bundle, plots_of

LIMIT = 2_000_000  # bytes of a page
STATIC = Path(__file__).parent / "static"
SCRIPTS = ("unpack.js", "words.js", "difference.js", "individual.js", "list.js", "plots.js", "page.js")


def page_of(directory: Path, history: History, revision: str = "") -> str:
    """The page of a run; one with a `revision` is served, and asks its server whether there is a newer one.

    Where all of it is more than `LIMIT` allows, details of the least interesting individuals are left out; then they
    are themselves.
    """
    facts, individuals, graph = facts_of(directory, history), Individuals(history), graph_of(history)
    run = _run(facts, history, individuals)

    @cache
    def plots(share: float) -> dict[str, Any]:
        return plots_of(history, facts.importance, individuals.shown(share))

    @cache
    def text(detail: Detail) -> str:
        data = {"run": run, "plots": plots(detail.share), **individuals.table(detail)}
        more = {"graph": graph, "left_out": individuals.left_out(detail), "kinds": KINDS, "plots": data["plots"]}
        more |= {"objectives": run["objectives"], "generations": run["generations"]}
        return _render(revision, facts=facts, data=_packed(json.dumps(data, separators=(",", ":"))), **more)

    def fits(detail: Detail) -> bool:
        return len(text(detail).encode()) < LIMIT

    last = len(DETAILS) - 1
    return text(DETAILS[0] if fits(DETAILS[0]) else DETAILS[bisect(DETAILS, False, 1, last, key=fits)])


def waiting_page(directory: Path, said: str, revision: str) -> str:
    """A page for a run that cannot be shown yet, with the reason."""
    return _render(revision, facts=None, directory=str(directory), said=said)


def _run(facts: Facts, history: History, individuals: Individuals) -> dict[str, Any]:
    return {
        "directory": facts.directory,
        "objectives": [o.name for o in history.search.objectives],
        "directions": [o.direction for o in history.search.objectives],
        "generations": max(individuals.generation.values(), default=0),
        "best": history.front[0].id if history.front else "",
        "rungs": [f"{rung:g}" for rung in history.all_rungs],
        "kinds": KINDS,
    }


def _render(revision: str, **values: Any) -> str:
    script = _script()
    allowed = [_digest(script), _digest(_bokeh()[0])]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(allowed)}",
            "style-src 'unsafe-inline'",  # bokeh styles its elements one by one
            "img-src data:",
            f"connect-src {chr(39)}{'self' if revision else 'none'}{chr(39)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    parts = {"policy": policy, "script": script, "style": _style(), "bokeh": _bokeh()[1], "revision": revision}
    return _templates().get_template("page.html").render(parts | values)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(STATIC),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _script() -> str:
    return '"use strict";\n' + "".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def _style() -> str:
    return (STATIC / "page.css").read_text(encoding="utf-8")


@cache
def _bokeh() -> tuple[str, str]:
    """As it is run, and as it is packed."""
    text = bundle()
    return text, _packed(text)


def _packed(text: str) -> str:
    """In letters that mean nothing in HTML."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
