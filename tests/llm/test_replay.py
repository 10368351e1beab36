"""Answers of a recorded run: the same question has the same answer, another one has one of its kind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evolve.model import Cost, Proposal, Rejected, digest
from operators.llm.mutate import Mutate
from operators.llm.replay import Replay
from operators.llm.wire import Block, Reply, Request, Turn, Unanswered, Usage
from tests.llm import family
from tests.llm.answers import GOOD, answer, edit
from tests.llm.script import USAGE, MemoryCallLog, in_turn


def request(text: str, way: str = "mutate") -> Request:
    return Request("asked", (Block("who you are"),), (Turn("user", (Block(text),)),), 100, way)


def line(key: str, text: str, way: str = "mutate") -> dict[str, Any]:
    usage = {"input": 1, "cached": 2, "written": 3, "output": 4, "searches": 5}
    name = digest("\n".join(request(text, way).texts))
    return {
        "key": key,
        "way": way,
        "digest": name,
        "text": f"to {text}",
        "stop": "end_turn",
        "model": "m",
        "usage": usage,
    }


def recorded(log: MemoryCallLog) -> list[dict[str, Any]]:
    """Replies with their questions, as a run's log gives them."""
    questions = {body["key"]: body for kind, _, body in log.lines.written if kind == "question"}
    return [{**questions[body["key"]], **body} for kind, _, body in log.lines.written if kind == "reply"]


def test_a_question_that_was_asked_before_has_the_same_answer() -> None:
    replay = Replay([line("ask/1/call/0", "one"), line("ask/2/call/0", "two"), line("ask/3/call/0", "three")])
    assert replay.send("ask/9/call/0", request("two")) == Reply("to two", "end_turn", "m", Usage())
    assert replay.send("ask/8/call/0", replace(request("three"), model="another")).text == "to three"


def test_another_question_has_the_next_answer_of_its_kind() -> None:
    replay = Replay(
        [
            line("lessons/1/call/0", "l", "lessons"),
            line("ask/1/call/0", "a"),
            line("ask/1/call/1", "b"),
            line("ask/2/call/0.1", "c"),
            line("ask/3/call/0", "d", "crossover"),
        ]
    )
    assert replay.send("ask/7/call/0", request("new", "crossover")).text == "to d"
    assert replay.send("ask/7/call/1", request("new")).text == "to b"
    assert replay.send("ask/8/call/0", request("new")).text == "to a"
    assert replay.send("ask/9/call/0.2", request("new")).text == "to c"
    assert replay.send("lessons/4/call/0", request("new", "lessons")).text == "to l"


def test_when_none_is_left_the_operator_ends() -> None:
    replay = Replay([line("ask/1/call/0", "a"), {"key": "ask/2/call/0", "way": "mutate", "error": "overloaded"}])
    replay.send("ask/1/call/0", request("a"))
    with pytest.raises(Unanswered, match="no recorded answer is left for mutate") as error:
        replay.send("ask/1/call/0", request("a"))
    assert error.value.ends == "operator"
    replay.close()


def test_an_answer_is_given_once_also_to_several_threads() -> None:
    replay = Replay([line(f"ask/{i}/call/0", f"{i}") for i in range(200)])
    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda i: replay.send(f"ask/{i}/call/0", request("new")).text, range(200)))
    assert len(set(texts)) == 200


def test_a_run_from_recorded_answers_makes_the_same_children(tmp_path: Path) -> None:
    log = MemoryCallLog()
    script = in_turn(
        GOOD["a signature with its call"].answer,
        answer(edit("delete nothing")),
        GOOD["a class with another name"].answer,
        "never",
        "never",
    )
    first = children(family.office(tmp_path, script, log))
    again = children(family.office(tmp_path, replay := Replay(recorded(log)), MemoryCallLog()))  # type: ignore[arg-type]
    assert [replace(made, cost=Cost()) for made in again] == [replace(made, cost=Cost()) for made in first]
    assert [made.cost.tokens for made in again] == [0, 0, 0]
    assert [type(made) for made in first] == [Proposal, Proposal, Rejected]
    with pytest.raises(Unanswered):
        replay.send("ask/20/call/0", script.requests[0])
    assert first[0].cost.input == USAGE.input + USAGE.written


def children(office) -> list[Proposal | Rejected]:  # type: ignore[no-untyped-def]
    return [Mutate(office).propose(family.mating(i, family.seed()), family.briefing()) for i in (14, 15, 16)]
