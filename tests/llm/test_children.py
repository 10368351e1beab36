"""What becomes of edits that would change nothing, or leave two of a name where one has no effect."""

from __future__ import annotations

import pytest

from evolve.model import Genome
from operators.llm.children import edited, parsed, rewritten
from operators.llm.dialogue import Unusable
from operators.tree import read
from tests.llm import family
from tests.llm.answers import answer, edit

FORWARD = "    def forward(self, x):\n        return self.proj(F.relu(self.fc(x)))\n"
SETTER = """\
class Scale:
    def __init__(self):
        self.raw = 1.0

    @property
    def value(self):
        return self.raw

    @value.setter
    def value(self, value):
        self.raw = value
"""


def source() -> str:
    return family.seed().genome.source


def child(*edits: str) -> Genome:
    return edited(family.reader(), source(), parsed(answer(*edits)))


@pytest.mark.parametrize(
    ("line", "code", "name"),
    [
        ("insert_after LEARNING_RATE", "LEARNING_RATE = 5e-3\n", "LEARNING_RATE"),
        ("insert_before MLP.forward", FORWARD, "MLP.forward"),
        ("insert_after MLP.forward", "    @torch.no_grad()\n" + FORWARD, "MLP.forward"),
        ("replace LEARNING_RATE", "LEARNING_RATE = 1e-3\nWEIGHT_DECAY = 0.5\n", "WEIGHT_DECAY"),
        ("insert_after MLP", "class MLP(nn.Module):\n    pass\n", "MLP"),
    ],
)
def test_a_name_may_not_become_bound_twice(line: str, code: str, name: str) -> None:
    with pytest.raises(Unusable, match=f"^{name} is defined twice; replace it instead$") as refusal:
        child(edit(line, code))
    assert refusal.value.stage == "edits"


def test_a_property_and_its_setter_are_no_such_case() -> None:
    assert SETTER in child(edit("insert_before MLP", SETTER)).source


def test_a_name_may_move() -> None:
    made = child(edit("delete WEIGHT_DECAY"), edit("insert_after LEARNING_RATE", "WEIGHT_DECAY = 0.05\n"))
    assert made.source.count("\nWEIGHT_DECAY =") == 1


def test_loose_statements_may_be_divided() -> None:
    """Addresses with `@` get numbers without any name being bound twice."""
    assert child(edit("insert_after DIM", "print(DIM)\n"), edit("insert_after DEPTH", "print(DEPTH)\n"))


@pytest.mark.parametrize("indent", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_code_that_is_there_already_is_refused(indent: bool, end: str) -> None:
    there = read(source(), "MLP.forward")
    code = there if indent else there.replace("\n    ", "\n").removeprefix("    ")
    with pytest.raises(Unusable, match="^EDIT replace MLP.forward changes nothing") as refusal:
        child(edit("replace MLP.forward", code).replace("\n", end), edit("insert_after MLP", "A = torch.ones(3)\n"))
    assert refusal.value.stage == "edits"


def test_code_for_an_address_that_an_edit_before_it_made_is_compared_with_nothing() -> None:
    there = read(source(), "MLP.forward")
    made = child(edit("rename MLP Feed"), edit("replace Feed.forward", there))
    assert there in made.source


NEW = "def forward(self, x):\n    return self.proj(F.relu(self.fc(x)))\n"


@pytest.mark.parametrize(
    ("text", "target", "hypothesis"),
    [
        (f"```python\n{NEW}```\nReLU is cheaper.", "MLP.forward", "ReLU is cheaper."),
        (f"Here it is:\n```\n{NEW}```", "MLP.forward", "Here it is:"),
        (f"```python\n{NEW}```", "MLP.forward", "another version of MLP.forward"),
        (f"```python\nclass MLP(nn.Module):\n    {NEW}```\nHYPOTHESIS: whole.", "MLP", "whole."),
        (f"HYPOTHESIS: as ever.\n\nEDIT replace MLP.forward\n```python\n{NEW}```\n", "MLP.forward", "as ever."),
    ],
)
def test_an_answer_about_one_place_needs_no_header(text: str, target: str, hypothesis: str) -> None:
    answer = rewritten(text, "MLP.forward")
    assert [(e.op, e.target) for e in answer.edits] == [("replace", target)] and answer.hypothesis == hypothesis


def test_without_code_there_is_no_answer_about_a_place() -> None:
    with pytest.raises(Unusable, match="no EDIT"):
        rewritten("HYPOTHESIS: it should be faster.", "MLP.forward")


def test_code_with_lines_left_out_is_refused() -> None:
    with pytest.raises(Unusable, match="leaves lines out"):
        child(edit("replace MLP.forward", "    def forward(self, x):\n        ...\n"))
