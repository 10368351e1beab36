"""A person's variant: differs from its parent in what the person changed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evolve.config import load_target
from evolve.model import Briefing, Candidate, Mating, Rejected
from operators.genome import NotAllowed, Reader
from operators.person import Person, child_of
from operators.tree import apply
from tests.contracts.suites import OperatorContract
from tests.evolve.individuals import individual

TARGET = load_target(Path(__file__).parents[2] / "train_target")
READER = Reader(TARGET.rules)
TUNED = {"DEPTH": 3, "LEARNING_RATE": 0.001482, "BATCH_SIZE": 4, "BETA1": 0.8111}


class TestPersonAsAnOperator(OperatorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def operator(cls) -> Person:
        return Person(READER, lambda index: (exported().replace("F.gelu(x)", f"F.elu(x, {index}.0)"), "why"))

    @pytest.fixture(scope="class")
    @classmethod
    def parents(cls) -> list[Candidate]:
        return [replace(parent(), id=str(i), index=i) for i in range(3)]


def parent() -> Candidate:
    genome = READER.read(TARGET.source)
    params = {k.address: k.default for k in genome.knobs} | TUNED
    return replace(individual(7, 3.0, 5.0), genome=genome, params=params)


def exported() -> str:
    return READER.bind(parent().genome, parent().params)


def test_an_exported_program_that_was_brought_back_is_its_parent() -> None:
    child = child_of(READER, parent(), exported(), "")
    assert child.genome == parent().genome and child.edits == () and child.anchor == parent().params


def test_a_change_is_one_edit_and_tuned_numbers_are_where_it_begins() -> None:
    child = child_of(READER, parent(), exported().replace("F.gelu(x)", "F.silu(x)"), "smoother")
    assert [f"{e.op} {e.target}" for e in child.edits] == ["replace MLP.forward"]
    assert child.genome.source == TARGET.source.replace("F.gelu(x)", "F.silu(x)")
    assert apply(parent().genome.source, child.edits) == child.genome.source
    assert child.anchor == parent().params and child.hypothesis == "smoother"


def test_a_number_of_the_persons_own_is_the_first_that_is_tried() -> None:
    child = child_of(READER, parent(), exported().replace("BETA2 = 0.999", "BETA2 = 0.95"), "")
    assert child.edits == () and child.anchor == {**parent().params, "BETA2": 0.95}


REMARK = "# adam, Kingma and Ba 2015\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BETA2 = 0.999", f"{REMARK}BETA2 = 0.999"),
        ("# largest norm of the gradient", "# clipped"),
        ("# largest norm of the gradient", ""),
    ],
)
def test_a_remark_beside_a_number_of_the_persons_own_is_no_other_structure(old: str, new: str) -> None:
    text = exported()
    assert old in text
    changed = text.replace(old, new).replace("BETA2 = 0.999", "BETA2 = 0.95")
    child = child_of(READER, parent(), changed, "")
    assert child.genome == parent().genome and child.edits == ()
    assert child.anchor == {**parent().params, "BETA2": 0.95}


def test_a_remark_that_gives_a_number_another_range_is_another_structure() -> None:
    text = exported().replace("# largest norm of the gradient", "# knob: 0.5..2")
    child = child_of(READER, parent(), text, "")
    assert child.genome.key != parent().genome.key and [e.target for e in child.edits] == ["GRAD_CLIP"]


def test_a_number_that_the_parents_knob_does_not_allow_is_a_change_of_the_program() -> None:
    child = child_of(READER, parent(), exported().replace("BATCH_SIZE = 4 ", "BATCH_SIZE = 1024 "), "")
    assert [e.target for e in child.edits] == ["BATCH_SIZE"] and "BATCH_SIZE = 1024 " in child.genome.source


def test_a_new_number_keeps_what_the_person_wrote() -> None:
    text = exported().replace("GRAD_CLIP = ", "QK_SCALE = 3.5  # knob: 1..30 log\nGRAD_CLIP = ")
    child = child_of(READER, parent(), text, "")
    assert child.anchor["QK_SCALE"] == 3.5 and [e.op for e in child.edits] == ["insert_after"]


def test_what_the_rules_forbid_is_refused() -> None:
    with pytest.raises(NotAllowed, match="'eval' is not allowed"):
        child_of(READER, parent(), exported() + "\nx = eval('1')\n", "")
    made = Person(READER, lambda index: ("import os\n", "why")).propose(
        Mating(3, "person", (parent(),), None, 3), Briefing()
    )
    assert isinstance(made, Rejected) and made.stage == "rules"


def test_a_program_that_is_nested_too_deeply_for_us_is_refused_wherever_that_shows() -> None:
    """Reading, finding literals and comparing do not reach equally deep."""
    depths, read = (*range(200, 400, 10), *range(400, 1000, 100), 2500), []
    for terms in depths:
        text = exported().replace("GRAD_CLIP = ", f"LONG = 1{' + 1' * terms}\nGRAD_CLIP = ")
        try:
            read.append(bool(child_of(READER, parent(), text, "").edits))
        except NotAllowed as refusal:
            assert "nested too deeply" in str(refusal)
    assert all(read) and 0 < len(read) < len(depths), "the limit lies between"


def test_the_operator_makes_the_program_of_its_ask() -> None:
    texts = {3: ("one", "a"), 4: (exported().replace("F.gelu(x)", "F.relu(x)"), "b")}
    made = Person(READER, texts.__getitem__).propose(Mating(4, "person", (parent(),), None, 4), Briefing())
    assert made == child_of(READER, parent(), texts[4][0], "b")
