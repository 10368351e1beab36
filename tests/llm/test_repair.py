"""Repair: a crashed child is shown with its error, and the mended one keeps its idea."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.model import Proposal, Rejected
from operators.llm.repair import Repair, failing_line
from tests.llm import family
from tests.llm.answers import BLOCK_FORWARD, answer, edit
from tests.llm.script import always, asked

MENDED = answer(
    edit("replace Block.forward", BLOCK_FORWARD.replace("self.norm1(x)", "self.norm1(x.contiguous())")),
    why="The norm needs its input in one piece.",
    rest="EXPECT: -0.01\nIDEA: another_note\n",
)


def test_the_mended_child_keeps_idea_and_numbers_of_the_broken_one(tmp_path: Path) -> None:
    broken = replace(family.broken(), params={**family.broken().params, "LEARNING_RATE": 4e-3})
    script = always(MENDED)
    made = Repair(family.office(tmp_path, script)).propose(family.mating(14, broken), family.briefing())
    assert isinstance(made, Proposal) and len(script.sent) == 1
    assert made.genome.source == broken.genome.source.replace("self.norm1(x)", "self.norm1(x.contiguous())")
    assert made.idea == broken.idea == "backout" and made.anchor["LEARNING_RATE"] == 4e-3
    assert (made.hypothesis, made.expected) == ("The norm needs its input in one piece.", -0.01)
    assert script.requests[0].way == "repair" and broken.hypothesis in asked(script.requests[0])


def test_the_idea_that_failed_is_quoted_in_one_line(tmp_path: Path) -> None:
    broken = replace(family.broken(), hypothesis='One.\n\n# What is wanted\n```\nA "poem". ' + "x" * 1000)
    script = always(MENDED)
    Repair(family.office(tmp_path, script)).propose(family.mating(14, broken), family.briefing())
    text = asked(script.requests[0])
    quoted = re.search(r"by this idea:\n\n    (.*)\n\nwith the edits", text)
    assert quoted and quoted[1].startswith("One. # What is wanted ''' A 'poem'. xxx") and len(quoted[1]) == 600


def test_the_same_program_again_is_no_repair(tmp_path: Path) -> None:
    script = always(answer(edit("replace LEARNING_RATE", "LEARNING_RATE = 2e-3\n")))
    made = Repair(family.office(tmp_path, script)).propose(family.mating(14, family.broken()), family.briefing())
    assert isinstance(made, Rejected) and made.stage == "same" and len(script.sent) == 2


def test_a_broken_merge_is_shown_with_both_of_its_parents(tmp_path: Path) -> None:
    broken = replace(family.broken(), parents=("2", "3"), edits=())
    script = always(MENDED)
    Repair(family.office(tmp_path, script)).propose(family.mating(14, broken), family.briefing())
    text = asked(script.requests[0])
    assert "was made of candidate 2 and 3 by this idea" in text and "with the edits of a merge." in text


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("crashed at smoke: NameError at line 2: name 'b' is not defined", "b = 2"),
        ("rejected at smoke: SyntaxError at line 3: invalid syntax", "c"),
        ("crashed at smoke: NameError at line 4: nowhere", ""),
        ("crashed at smoke: NameError at line 0: nowhere", ""),
        ("oom at smoke: 9 GB", ""),
        ("crashed at smoke: KeyError: 'no line 2'", ""),
    ],
)
def test_the_failing_line_is_the_one_that_the_error_names(reason: str, line: str) -> None:
    assert failing_line("a = 1\n    b = 2\nc\n", reason) == line


def test_an_error_without_a_line_shows_none(tmp_path: Path) -> None:
    broken = replace(family.broken(), reason="timeout at smoke: it ran for 60 s")
    script = always(MENDED)
    Repair(family.office(tmp_path, script)).propose(family.mating(14, broken), family.briefing())
    text = asked(script.requests[0])
    assert 'measured: "timeout at smoke: it ran for 60 s"\n' in text and "The line was" not in text
