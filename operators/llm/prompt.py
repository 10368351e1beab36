"""Prompts from their files in `prompts/`. The order is for the server's cache: what stays the same comes first.

The instructions, the task and the seed are the same all run long; the journal only grows, in chunks that never
change; then come the parent, which has several children, and what is different for each child.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import jinja2

from evolve.journal import HYPOTHESIS, cut, entry
from evolve.model import Briefing, Candidate, Mating, Rules
from operators.llm import portrait
from operators.llm.answer import LONGEST_HYPOTHESIS
from operators.llm.ideas import Idea
from operators.llm.wire import Block, Request
from operators.tree import addresses, read

FOLDER = Path(__file__).with_name("prompts")
CHUNK = 10  # lines of the journal that are added to the cached part at once
JOURNAL = 200  # lines of the journal at most; the oldest go, 50 at a time, so that the cached part seldom changes
NOTES = "# Notes that you may use or not\n"
FULL, SHORT, SHORTEST, ONE = 0, 1, 2, 3  # how much is left out where a prompt does not fit; ONE: but one function
SMALL = 25  # lines at most of a function that is offered alone


@dataclass(frozen=True)
class Setting:
    """What does not come from the run's log: the task's words and rules, lessons, the notes offered this time."""

    program: str
    lessons: str = ""
    ideas: tuple[Idea, ...] = ()
    brevity: int = FULL
    rules: Rules = field(default_factory=Rules)


def system(briefing: Briefing, setting: Setting) -> tuple[Block, ...]:
    """Who it is, how to answer, the task, and the seed program unless prompts have to be short."""
    if setting.brevity == ONE:
        return (Block(render("brief"), cached=True),)
    seed = briefing.candidates[0] if briefing.candidates and setting.brevity == FULL else None
    text = render(
        "system",
        loss=_loss(briefing),
        objectives=briefing.objectives,
        budget=f"{briefing.budget:g}",
        scale=briefing.scale,
        rungs=" and ".join(f"{rung:g}" for rung in briefing.rungs[:-1]),
        rules=setting.rules,
        program=setting.program.strip(),
        seed=seed and {"measured": portrait.score(seed, briefing), "source": seed.genome.source},
    )
    return (Block(text, cached=True),)


def journal(briefing: Briefing, setting: Setting) -> tuple[list[Block], list[str]]:
    """What was tried elsewhere, the chunks of the journal that no longer change, and the lines that came after them."""
    if setting.brevity > FULL:
        return [], []
    tried = [c for c in briefing.candidates if c.edits and c.verdict not in ("rejected", "duplicate")]
    begin = max(0, -(-(len(tried) - JOURNAL) // 50) * 50)
    lines = [entry(c) for c in tried[begin:]]
    end = len(lines) // CHUNK * CHUNK
    texts = [render("elsewhere", lines=briefing.elsewhere)] if briefing.elsewhere else []
    texts += [render("journal", first=i == 0, lines=lines[i : i + CHUNK]) for i in range(0, end, CHUNK)]
    return [Block(text, cached=i == len(texts) - 1) for i, text in enumerate(texts)], lines[end:]


def program(candidate: Candidate, briefing: Briefing, title: str, brevity: int = FULL) -> Block:
    """A program with its numbers and addresses; it may be a parent again soon, so it is worth caching."""
    text = render(
        "program",
        title=title,
        candidate=candidate,
        source=candidate.genome.source,
        shown_above=candidate.index == 0 and brevity == FULL,
        facts=portrait.facts(candidate, briefing),
        numbers=portrait.numbers(candidate, briefing.importance),
        addresses=", ".join(addresses(candidate.genome.source)),
    )
    return Block(text, cached=True)


def around(mating: Mating, briefing: Briefing, setting: Setting, lately: Sequence[str]) -> str:
    """What else helps: latest tries, lessons, lineage, unlike individuals, notes."""
    parent, told = mating.parents[0], {c.id: c for c in briefing.candidates}
    sound = [c for c in mating.inspirations if not told.get(c.id, c).quarantined]
    others = [c for c in sound if setting.brevity < SHORTEST and portrait.lineage(c, told)]
    return render(
        "around",
        lines=lately,
        pending=[cut(hypothesis, HYPOTHESIS) for hypothesis in briefing.pending],
        lessons=setting.lessons.strip(),
        parent=parent,
        lineage=portrait.lineage(parent, told) if setting.brevity < SHORTEST else (),
        inspirations=[_inspiration(c, briefing, told) for c in others],
        heading=NOTES,
        ideas=setting.ideas if setting.brevity < SHORTEST else (),
    )


def mutation(mating: Mating, briefing: Briefing, setting: Setting) -> tuple[Block, ...]:
    """The question for a child of one parent."""
    if setting.brevity == ONE:
        return (Block(one(mating)),)
    chunks, lately = journal(briefing, setting)
    parent = mating.parents[0]
    focus = Random(f"{mating.seed}:focus").choice(_text("focus").splitlines())
    example = next((a for a in addresses(parent.genome.source) if "." in a), "ADDRESS")
    ask = render("mutate", parent=parent, loss=_loss(briefing), focus=focus, example=example)
    rest = around(mating, briefing, setting, lately) + ask
    return (*chunks, program(parent, briefing, "The parent", setting.brevity), Block(rest))


def one(mating: Mating) -> str:
    """A question for a small model or a short context: another version of one short function, which is drawn."""
    source = mating.parents[0].genome.source
    code = {a: read(source, a) for a in addresses(source)}
    short = [a for a, text in code.items() if _is_function(text) and text.count("\n") <= SMALL and "__init__" not in a]
    return _about(source, Random(f"{mating.seed}:one").choice(short or list(code)))


def _about(source: str, address: str, error: str = "") -> str:
    """The question for another version of one place, perhaps of one that failed."""
    code = {a: read(source, a) for a in addresses(source)}
    return render(
        "one",
        constants="".join(text for a, text in code.items() if a.isupper()),
        context=code.get(address.rpartition(".")[0], code[address]),
        address=address,
        error=error,
    )


def only_place(request: Request) -> str:
    """The address of the one function that a question was about, "" where it left the choice."""
    found = re.search(r"^Write a new version of `(\S+)` that", request.turns[0].blocks[-1].text, re.M)
    return found[1] if found and len(request.turns[0].blocks) == 1 else ""


def _is_function(text: str) -> bool:
    """Whether a text is a function of something: those of nothing only set up."""
    return bool(re.match(r"\s*def \w+\((?!\))", text))


def crossing(
    mating: Mating, briefing: Briefing, setting: Setting, merged: str, conflicts: Sequence[dict[str, Any]]
) -> tuple[Block, ...]:
    """The question for a child of two parents, whose merge left `conflicts` (address, reason, versions)."""
    chunks, _ = journal(briefing, setting)
    told = {c.id: c for c in briefing.candidates}
    sides = zip(("left", "right"), mating.parents, strict=True)
    ask = render(
        "crossover",
        parents=[_inspiration(c, briefing, told) | {"side": side} for side, c in sides],
        base=mating.base,
        merged=merged,
        addresses=", ".join(addresses(merged)),
        conflicts=conflicts,
    )
    return (*chunks, Block(ask))


def mending(mating: Mating, briefing: Briefing, setting: Setting, error: str, line: str) -> tuple[Block, ...]:
    """The question for a program that crashed."""
    broken = mating.parents[0]
    place = broken.edits[0].target if broken.edits else ""
    if setting.brevity == ONE and place in addresses(broken.genome.source):
        return (Block(_about(broken.genome.source, place, error)),)
    edits = ", ".join(f"{e.op} {e.target}" for e in broken.edits) or "of a merge"
    ask = render(
        "repair",
        broken=broken,
        idea=cut(broken.hypothesis, LONGEST_HYPOTHESIS),
        parent=" and ".join(broken.parents),
        edits=edits,
        error=error,
        code=cut(line, 200),
    )
    return (program(broken, briefing, "The program that failed"), Block(ask))


def offered(request: Request, idea: str) -> bool:
    """Whether a question for a child offered the note of that name."""
    _, _, notes = request.turns[0].blocks[-1].text.partition(NOTES)
    return f"\n## {idea}\n" in notes


def render(name: str, **values: Any) -> str:
    """The prompt `name` with its blanks filled in. Raises jinja2.UndefinedError if one is missing."""
    return _environment().get_template(f"{name}.md").render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(  # nosec: prompts are text, no page
        loader=jinja2.FileSystemLoader(FOLDER, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fenced"] = fenced
    return environment


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def fenced(code: str) -> str:
    """The code in a fence that is longer than any in it, the closing one on a line of its own."""
    fence = "`" * (1 + max(2, *map(len, re.findall("`+", code)), 0))
    return f"{fence}python\n{code}{'' if code.endswith(chr(10)) else chr(10)}{fence}"


def _inspiration(candidate: Candidate, briefing: Briefing, told: dict[str, Candidate]) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "measured": portrait.score(candidate, briefing),
        "lineage": portrait.lineage(candidate, told)[:3],
        "code": portrait.latest_code(candidate),
    }


def _loss(briefing: Briefing) -> str:
    return briefing.objectives[0].name if briefing.objectives else "the loss"
