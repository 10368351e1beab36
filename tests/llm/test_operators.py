"""From the text of an answer to a child, with `train_target/train.py` and its real rules: what passes and what not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.model import Candidate, Knob, Proposal, Rejected
from operators.llm.mutate import Mutate
from operators.llm.wire import Reply
from tests.llm import family
from tests.llm.answers import ATTENTION_REST, GOOD, answer, edit, expected
from tests.llm.script import USAGE, Said, Script, always, asked, in_turn


def parent() -> Candidate:
    return replace(family.seed(), params={**family.seed().params, "LEARNING_RATE": 2e-3})


def mutated(folder: Path, script: Script) -> Proposal | Rejected:
    return Mutate(family.office(folder, script)).propose(family.mating(14, parent()), family.briefing())


@pytest.mark.parametrize("name", GOOD)
def test_a_structural_answer_becomes_the_child_that_it_describes(tmp_path: Path, name: str) -> None:
    """Byte for byte: what was edited is as the answer says, all else as it was."""
    script = always(GOOD[name].answer)
    made = mutated(tmp_path, script)
    assert isinstance(made, Proposal), made
    assert made.genome.source == expected(parent().genome.source, GOOD[name].changes)
    assert made.genome == family.reader().read(made.genome.source)
    assert (made.hypothesis, made.expected, made.idea) == ("It should help.", -0.03, "")
    assert len(made.edits) == GOOD[name].answer.count("EDIT ") and len(script.sent) == 1
    assert made.anchor["LEARNING_RATE"] == 2e-3 and made.anchor.keys() == {k.address for k in made.genome.knobs}
    assert (made.cost.calls, made.cost.input, made.cost.cached, made.cost.output) == (1, 1300, 2000, 400)


def test_new_constants_are_knobs_with_the_ranges_that_were_said(tmp_path: Path) -> None:
    made = mutated(tmp_path, always(GOOD["constants with ranges"].answer))
    assert isinstance(made, Proposal)
    knobs = {k.address: k for k in made.genome.knobs}
    assert knobs["QK_SCALE"] == Knob("QK_SCALE", "float", 1.0, 30.0, True, 10.0)
    assert knobs["GROUPS"] == Knob("GROUPS", "choice", 1, 4, False, 2, (1, 2, 4))
    assert "SHIFT" not in knobs and made.anchor["QK_SCALE"] == 10.0


def test_the_note_that_was_used_is_kept(tmp_path: Path) -> None:
    (tmp_path / "ideas").mkdir()
    (tmp_path / "ideas" / "short_convolution.md").write_text("Mix each token with those before it.")
    text = GOOD["a class with another name"].answer.replace("IDEA: none", "IDEA: short_convolution")
    made = mutated(tmp_path, always(text))
    assert isinstance(made, Proposal) and made.idea == "short_convolution"


MLP_CODE = "    def forward(self, x):\n        {}\n"
BAD: dict[str, tuple[Said, str, str]] = {
    "no edit": ("I would add a gate.", "format", r"^the answer holds no EDIT and no TAKE line\. The form is:"),
    "no code": (answer("EDIT replace MLP.forward\n"), "format", r"^line 7: 'EDIT replace MLP.forward' lacks its code"),
    "an unknown operation": (answer("EDIT improve MLP\n"), "format", r"names no known operation; use one of replace, "),
    "the whole file": (answer(edit("replace @file", "A = 1\n")), "format", r"@file is not to be edited as a whole"),
    "a choice of a parent": (
        answer("TAKE left MLP.forward\n"),
        "format",
        r"^TAKE chooses between two parents, and here is one: write EDIT lines\.$",
    ),
    "an unknown address": (
        answer(edit("replace MLP.forwards", MLP_CODE.format("return x"))),
        "edits",
        r"^no address 'MLP.forwards'; valid are: MLP.forward, .*@training_loop, @evaluation",
    ),
    "code that does not parse": (
        answer(edit("replace MLP.forward", MLP_CODE.format("return (x"))),
        "edits",
        r"^the code of replace at MLP.forward does not parse, line 2: '\(' was never closed$",
    ),
    "another definition": (
        answer(edit("replace MLP.forward", "    def backward(self, x):\n        return x\n")),
        "edits",
        r"^the code for MLP.forward does not define 'forward'",
    ),
    "a file": (
        answer(edit("replace MLP.forward", MLP_CODE.format('return x + len(open("/etc/passwd").read())'))),
        "rules",
        r"^line \d+: 'open' is not allowed; ",
    ),
    "a forbidden import": (
        answer(edit("insert_after @imports", "import os\n")),
        "rules",
        r"^line \d+: import of 'os' is not allowed; use __future__, collections",
    ),
    "a protected name": (
        answer(edit("insert_after COMPILE", "TIME_BUDGET = 10_000\n")),
        "rules",
        r"^line \d+: 'TIME_BUDGET' may not be rebound; ",
    ),
    "a name that is nowhere": (
        answer(edit("delete MLP")),
        "rules",
        r"^line \d+: 'MLP' is not defined anywhere; define or import it$",
    ),
    "a directive that is none": (
        answer(edit("insert_after COMPILE", "A = 2.0  # knob: much\n")),
        "rules",
        r"much",
    ),
    "nothing but a number": (
        answer(edit("replace LEARNING_RATE", "LEARNING_RATE = 5e-3\n")),
        "same",
        r"^tune, don't mutate: only numbers differ from candidate 0, and those are tuned anyway",
    ),
    "nothing but comments": (
        answer(edit("replace LEARNING_RATE", "LEARNING_RATE = 1e-3  # a good one\n")),
        "same",
        r"^tune, don't mutate",
    ),
    "a cut answer": (
        Reply(GOOD["a class with another name"].answer, "max_tokens", "m", USAGE),
        "answer",
        r"^it was cut after 8000 tokens\. Say it with less\.$",
    ),
    "a refusal": (
        Reply("I cannot.", "refusal", "m", USAGE),
        "answer",
        r"^there is no answer \(stop reason 'refusal'\)\.$",
    ),
    "an empty answer": (
        Reply(" \n", "end_turn", "m", USAGE),
        "answer",
        r"^there is no answer \(stop reason 'end_turn'\)\.$",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_complained_of_once_and_then_dropped(tmp_path: Path, name: str) -> None:
    said, stage, reason = BAD[name]
    script = in_turn(said, said)
    made = mutated(tmp_path, script)
    assert isinstance(made, Rejected) and re.search(reason, made.reason), made
    assert (made.stage, made.ends) == (stage, "")
    assert f"This could not be used: {made.reason}\n" in asked(script.requests[1])
    assert script.keys == ["ask/14/call/0", "ask/14/call/1"]
    assert made.cost.calls == 2 and made.cost.output == 800


@pytest.mark.parametrize("name", BAD)
def test_a_good_second_answer_is_a_child_that_cost_two_calls(tmp_path: Path, name: str) -> None:
    good = GOOD["a signature with its call"]
    made = mutated(tmp_path, in_turn(BAD[name][0], good.answer))
    assert isinstance(made, Proposal) and made.genome.source == expected(parent().genome.source, good.changes)
    assert made.cost.calls == 2 and made.cost.tokens == 2 * 3700


def test_a_structure_that_the_run_has_tried_is_refused(tmp_path: Path) -> None:
    """Also one whose numbers differ, but not one that nobody measured."""
    script = always(answer(edit("replace Attention.forward", qk_norm())))
    made = mutated(tmp_path, script)
    assert isinstance(made, Rejected) and made.stage == "known"
    assert made.reason == "candidate 7 had this structure, and was tried. Propose another one."
    spoiled = tuple(
        replace(c, verdict="failed", reason="infrastructure at smoke: device lost") if c.id == "7" else c
        for c in family.told()
    )
    made = Mutate(family.office(tmp_path, script)).propose(family.mating(14, parent()), family.briefing(spoiled))
    assert isinstance(made, Proposal)


def qk_norm() -> str:
    """`Attention.forward` as the catalogue's move of that name leaves it."""
    return next(e.code for e in next(c for c in family.told() if c.id == "7").edits)


def test_a_refused_child_is_no_structure_that_was_tried(tmp_path: Path) -> None:
    """Its record holds the genome of its parent."""
    good = GOOD["a class with another name"]
    genome = family.reader().read(expected(parent().genome.source, good.changes))
    refused = replace(family.told()[4], genome=genome)
    assert refused.verdict == "rejected"
    office = family.office(tmp_path, always(good.answer))
    briefing = family.briefing((family.seed(), refused))
    assert isinstance(Mutate(office).propose(family.mating(14, parent()), briefing), Proposal)


def test_an_answer_in_windows_line_ends_is_the_same_child(tmp_path: Path) -> None:
    good = GOOD["a signature with its call"]
    made = mutated(tmp_path, always(good.answer.replace("\n", "\r\n")))
    assert isinstance(made, Proposal) and made.genome.source == expected(parent().genome.source, good.changes)


def test_the_code_may_come_without_its_indentation(tmp_path: Path) -> None:
    code = "def forward(self, x):\n    return self.proj(F.silu(self.fc(x)))\n"
    made = mutated(tmp_path, always(answer(edit("replace MLP.forward", code))))
    assert isinstance(made, Proposal)
    assert "    def forward(self, x):\n        return self.proj(F.silu(self.fc(x)))\n" in made.genome.source
    assert ATTENTION_REST in made.genome.source
