"""A question and one more turn: what is sent again, what it costs, what is left out where a prompt does not fit."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.model import Proposal, Rejected
from operators.llm.desk import estimated
from operators.llm.dialogue import LONGEST_COMPLAINT
from operators.llm.mutate import Mutate
from operators.llm.wire import Block, Request, TooLong, Unanswered, Usage
from tests.llm import family
from tests.llm.answers import GOOD, answer, edit
from tests.llm.script import MemoryCallLog, Said, Script, always, asked, in_turn

FINE = GOOD["a class with another name"].answer
POOR = answer(edit("delete GPT.nothing"))


def mutated(
    folder: Path, script: Script, log: MemoryCallLog | None = None, prompt_tokens: int = 0
) -> Proposal | Rejected:
    office = family.office(folder, script, log, prompt_tokens=prompt_tokens)
    return Mutate(office).propose(family.mating(), family.briefing())


def test_the_second_turn_holds_the_first_question_its_answer_and_the_complaint(tmp_path: Path) -> None:
    script = in_turn(f"\n{POOR}\n", FINE)
    assert isinstance(mutated(tmp_path, script), Proposal)
    first, second = script.requests
    assert [turn.role for turn in second.turns] == ["user", "assistant", "user"]
    assert second.turns[1].blocks == (Block(POOR.strip()),)
    assert replace(second, turns=second.turns[:1]) == first


def test_an_empty_answer_can_be_answered(tmp_path: Path) -> None:
    """A message without text would be refused by a server."""
    script = in_turn("", FINE)
    mutated(tmp_path, script)
    assert script.requests[1].turns[1].blocks[0].text == "(nothing)"


def test_a_long_complaint_is_cut(tmp_path: Path) -> None:
    script = always(answer(edit("delete " + "A" * 3000)))
    made = mutated(tmp_path, script)
    assert isinstance(made, Rejected) and len(made.reason) == LONGEST_COMPLAINT and made.reason.endswith("…")
    assert made.reason in asked(script.requests[1])


@pytest.mark.parametrize("ends", ["", "operator", "run"])
def test_a_call_that_fails_ends_the_question(tmp_path: Path, ends: str) -> None:
    made = mutated(tmp_path, script := always(Unanswered("no such model", ends)))  # type: ignore[arg-type]
    assert isinstance(made, Rejected) and len(script.sent) == 1
    assert (made.reason, made.stage, made.ends, made.cost.calls) == ("no such model", "answer", ends, 0)


def test_a_call_that_fails_in_the_second_turn_costs_what_the_first_did(tmp_path: Path) -> None:
    made = mutated(tmp_path, in_turn(POOR, Unanswered("overloaded")))
    assert isinstance(made, Rejected)
    assert (made.reason, made.stage, made.cost.calls, made.cost.output) == ("overloaded", "answer", 1, 400)


def test_what_a_call_took_before_it_failed_is_in_the_cost(tmp_path: Path) -> None:
    """In the first turn, in the second, and where the prompt was too long."""
    lost = Usage(input=10, cached=20, written=30, output=5)
    made = mutated(tmp_path, in_turn(Unanswered("cut off", usage=lost)))
    assert isinstance(made, Rejected)
    assert (made.cost.calls, made.cost.input, made.cost.cached, made.cost.output) == (1, 40, 20, 5)
    made = mutated(tmp_path, in_turn(POOR, Unanswered("cut off", usage=lost)))
    assert isinstance(made, Rejected)
    assert (made.cost.calls, made.cost.input, made.cost.cached, made.cost.output) == (2, 1340, 2020, 405)
    made = mutated(tmp_path, in_turn(TooLong("no room", usage=lost), FINE))
    assert isinstance(made, Proposal) and (made.cost.calls, made.cost.output) == (2, 405)


def fitting(characters: int) -> Script:
    """A model whose context ends there."""

    def said(request: Request) -> Said:
        return FINE if request.characters <= characters else TooLong("prompt is too long")

    return Script(said)


def lengths(folder: Path) -> list[int]:
    """Characters of the full, the short and the shortest prompt, and of that about one function."""
    script = fitting(0)
    mutated(folder, script)
    return [request.characters for request in script.requests]


def test_what_is_too_long_is_asked_shorter_and_then_shortest(tmp_path: Path) -> None:
    full, short, shortest, one = lengths(tmp_path)
    assert full > short > shortest > 3 * one
    for characters, keys in (
        (full, ["0"]),
        (full - 1, ["0", "0.1"]),
        (short - 1, ["0", "0.1", "0.2"]),
        (shortest - 1, ["0", "0.1", "0.2", "0.3"]),
    ):
        script = fitting(characters)
        made = mutated(tmp_path, script)
        assert isinstance(made, Proposal) and made.cost.calls == 1
        assert script.keys == [f"ask/14/call/{key}" for key in keys]


def test_what_is_never_short_enough_is_given_up(tmp_path: Path) -> None:
    script = fitting(0)
    made = mutated(tmp_path, script)
    assert isinstance(made, Rejected) and (made.reason, made.stage) == ("prompt is too long", "answer")
    assert script.keys == ["ask/14/call/0", "ask/14/call/0.1", "ask/14/call/0.2", "ask/14/call/0.3"]


def test_a_prompt_that_is_known_to_be_too_long_is_not_sent(tmp_path: Path) -> None:
    """The shortest is sent all the same: the estimate is a high one."""
    script = fitting(0)
    mutated(tmp_path, script)
    tokens = [estimated(request) for request in script.requests]
    for most, key in (
        (tokens[0], "0"),
        (tokens[0] - 1, "0.1"),
        (tokens[1] - 1, "0.2"),
        (tokens[2] - 1, "0.3"),
        (10, "0.3"),
    ):
        script = always(FINE)
        assert isinstance(mutated(tmp_path, script, prompt_tokens=most), Proposal)
        assert script.keys == [f"ask/14/call/{key}"]


def test_a_complaint_about_a_short_prompt_is_added_to_that_prompt(tmp_path: Path) -> None:
    short = lengths(tmp_path)[1]
    script = Script(lambda r: TooLong("no") if r.characters > short + 5000 else POOR if len(r.turns) == 1 else FINE)
    assert isinstance(mutated(tmp_path, script), Proposal)
    assert script.keys == ["ask/14/call/0", "ask/14/call/0.1", "ask/14/call/1"]
    assert script.requests[2].turns[0] == script.requests[1].turns[0]


def test_a_question_that_is_cut_off_anywhere_goes_on_without_asking_twice(tmp_path: Path) -> None:
    """What was answered before a kill is not asked for again, what was too long is; the child is the same."""

    def scripted() -> Script:
        full = lengths(tmp_path)[0]
        return Script(lambda r: TooLong("no") if r.characters >= full else POOR if len(r.turns) == 1 else FINE)

    log = MemoryCallLog()
    whole = mutated(tmp_path, scripted(), log)
    assert isinstance(whole, Proposal) and len(log.lines.written) == 6
    for known in range(7):
        before = log.lines.written[:known]
        script = scripted()
        made = mutated(tmp_path, script, MemoryCallLog(before))
        assert made == whole
        answered = [key.removesuffix("/reply/1") for kind, key, body in before if kind == "reply" and "text" in body]
        assert script.keys == [key for key in log_keys(log) if key not in answered]


def log_keys(log: MemoryCallLog) -> list[str]:
    return [body["key"] for kind, _, body in log.lines.written if kind == "question"]


PROGRAM = '''\
"""A small program."""

import torch
from prepare import evaluate_bpb, make_dataloader

WIDTH = 8  # knob: 1..20
RATE = 0.5


class MLP:
    def forward(self, x):
        return x * WIDTH


class GPT:
    def __init__(self):
        self.mlp = MLP()

    def old(self, x):
        return x

    def forward(self, x):
        return self.mlp.forward(x)


model = GPT()
for x, y, epoch in make_dataloader(RATE, "train"):
    loss = model.forward(x)
evaluate_bpb(model)
'''
LOOP = """\
model = GPT()
for x, y, epoch in make_dataloader(RATE, "train"):
    loss = x * SCALE
evaluate_bpb(model)
"""
STRUCTURAL = [
    answer(
        edit("insert_before GPT", "class Gate:\n    def forward(self, x):\n        return torch.sigmoid(x)\n"),
        edit("replace GPT.__init__", "    def __init__(self):\n        self.mlp = MLP()\n        self.gate = Gate()\n"),
    ),
    answer(
        edit("replace MLP.forward", "    def forward(self, x, y):\n        return x * y\n"),
        edit("replace GPT.forward", "    def forward(self, x):\n        return self.mlp.forward(x, WIDTH)\n"),
    ),
    answer(edit("delete GPT.old"), edit("rename MLP FeedForward")),
    answer(
        edit("insert_after RATE", "SCALE = 2.0  # knob: 1..4 log\nSIZE = 2  # knob: 1|2|4\n"),
        edit("replace @model", LOOP),
    ),
    answer(
        edit("insert_before @imports", "import math\n"),
        edit("insert_after GPT.old", "def new(self):\n    return math.pi\n"),
    ),
]


def spoiled(text: str, rng: random.Random) -> str:
    """Some lines deleted, doubled, cut, exchanged, moved in or out, or of another answer."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(7):
            case 0:
                del lines[i]
            case 1:
                lines.insert(j, lines[i])
            case 2:
                lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]
            case 3:
                lines[i], lines[j] = lines[j], lines[i]
            case 4:
                lines[i] = rng.choice(["    ", "\t", "# ", "x = ("]) + lines[i]
            case 5:
                lines[i] = rng.choice(rng.choice(STRUCTURAL).splitlines())
            case _:
                lines[i] = lines[i].lstrip()
        if not lines:
            return ""
    return "\n".join(lines)


def test_however_an_answer_is_spoiled_it_is_a_child_or_a_refusal_with_a_reason(tmp_path: Path) -> None:
    genome = family.reader().read(PROGRAM)
    parent = replace(family.seed(), genome=genome, params={k.address: k.default for k in genome.knobs})
    mating, briefing = family.mating(14, parent), family.briefing((parent,))
    rng, texts = random.Random(0), list(STRUCTURAL)
    texts += [spoiled(rng.choice(STRUCTURAL), rng) for _ in range(500)]
    stages, children = set(), 0
    for number, text in enumerate(texts):
        script = always(text)
        made = Mutate(family.office(tmp_path, script)).propose(mating, briefing)
        assert len(script.sent) == made.cost.calls <= 2
        if isinstance(made, Proposal):
            children += 1
            assert made.genome.source != PROGRAM and made.genome.skeleton != genome.skeleton and made.hypothesis, text
        else:
            assert made.reason and made.stage in ("answer", "format", "edits", "rules", "same"), text
            assert number >= len(STRUCTURAL), f"{made.reason}: {text}"
            stages.add(made.stage)
    assert children > 50 and stages >= {"format", "edits", "rules"}
