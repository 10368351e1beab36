"""Crossover with a model: it is asked for places in conflict only, and its choices are what stands in the child."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.model import Proposal, Rejected
from operators.addresses import read
from operators.llm.crossover import Crossover
from operators.tree import apply
from tests.llm import family
from tests.llm.answers import answer, edit
from tests.llm.script import Script, always, asked, in_turn

BOTH = "    def forward(self, x):\n        return self.proj(relu_squared(swiglu(self.fc(x))))\n"
PLACE = "MLP.forward"


def crossed(folder: Path, script: Script, *parents: int) -> Proposal | Rejected:
    """A child of candidates 2 and 3, which are at odds about a place, or of others of the family."""
    told = {c.index: c for c in family.told()}
    pair = [told[i] for i in parents] if parents else family.parents()
    return Crossover(family.office(folder, script)).propose(family.mating(14, *pair), family.briefing())


def code(made: Proposal | Rejected, address: str = PLACE) -> str:
    assert isinstance(made, Proposal), made
    return read(made.genome.source, address)


def test_without_a_conflict_no_model_is_asked(tmp_path: Path) -> None:
    script = in_turn()
    made = crossed(tmp_path, script, 1, 8)
    assert isinstance(made, Proposal) and not script.sent and made.cost.calls == 0
    assert "nn.RMSNorm" in code(made, "Block.__init__") and "logsumexp" in code(made, "train_step")
    assert made.hypothesis.startswith("what 8 changed since 0 (") and made.hypothesis.endswith(") also helps 1")


@pytest.mark.parametrize(("side", "used"), [("left", "relu_squared(x)"), ("right", "swiglu(x)")])
def test_a_place_is_taken_from_one_side(tmp_path: Path, side: str, used: str) -> None:
    script = always(answer(f"TAKE {side} {PLACE}\n"))
    made = crossed(tmp_path, script)
    index = ("left", "right").index(side)
    assert code(made) == read(family.parents()[index].genome.source, PLACE) and used in code(made)
    assert (
        len(script.sent) == 1
        and isinstance(made, Proposal)
        and (made.hypothesis, made.expected)
        == (
            "It should help.",
            -0.03,
        )
    )
    for address, other in (("train_step", 0), ("Block.forward", 1), ("MLP.__init__", 1)):
        assert code(made, address) == read(family.parents()[other].genome.source, address), "not in conflict"


def test_a_place_is_united_by_an_edit(tmp_path: Path) -> None:
    made = crossed(tmp_path, always(answer(edit(f"replace {PLACE}", BOTH))))
    assert code(made) == BOTH


def test_glue_elsewhere_is_added_to_what_was_taken(tmp_path: Path) -> None:
    glue = edit("insert_after swiglu", "def cube(x):\n    return x**3\n")
    made = crossed(tmp_path, always(answer(f"TAKE right {PLACE}\n", glue)))
    assert "swiglu(x)" in code(made) and "return x**3" in code(made, "cube")


def test_the_edits_of_a_child_lead_from_the_left_parent_to_it(tmp_path: Path) -> None:
    made = crossed(tmp_path, always(answer(f"TAKE right {PLACE}\n")))
    assert isinstance(made, Proposal)
    assert apply(family.parents()[0].genome.source, made.edits) == made.genome.source


def test_numbers_follow_the_side_that_their_place_is_from(tmp_path: Path) -> None:
    """Candidate 2 was tuned to LABEL_SMOOTHING 0.05, 3 to DROPOUT 0.07; LEARNING_RATE is everybody's."""
    made = crossed(tmp_path, always(answer(f"TAKE right {PLACE}\n")))
    assert isinstance(made, Proposal)
    values = {name: made.anchor[name] for name in ("LABEL_SMOOTHING", "DROPOUT", "LEARNING_RATE")}
    assert values == {"LABEL_SMOOTHING": 0.05, "DROPOUT": 0.07, "LEARNING_RATE": 2e-3}
    assert made.anchor.keys() == {k.address for k in made.genome.knobs}


@pytest.mark.parametrize(
    ("edits", "stage", "reason"),
    [
        (
            (edit("insert_after swiglu", "def cube(x):\n    return x**3\n"),),
            "edits",
            r"^not settled: MLP.forward\. Write TAKE left, TAKE right or an EDIT for each\.$",
        ),
        (
            ("TAKE left Block.forward\n", f"TAKE left {PLACE}\n"),
            "edits",
            r"^TAKE Block.forward: that is no place in conflict; those are MLP.forward\.$",
        ),
        ((f"TAKE both {PLACE}\n",), "format", r"is not of the form TAKE left\|right ADDRESS"),
        ((f"TAKE left {PLACE}\n", edit("delete swiglu.x")), "edits", r"^no address 'swiglu.x'; valid are: "),
        ((edit(f"replace {PLACE}", "    def forward(self, x):\n        return z\n"),), "rules", r"'z' is not defined"),
    ],
)
def test_what_settles_nothing_is_complained_of_once_and_then_dropped(
    tmp_path: Path, edits: tuple[str, ...], stage: str, reason: str
) -> None:
    script = always(answer(*edits))
    made = crossed(tmp_path, script)
    assert isinstance(made, Rejected) and re.search(reason, made.reason) and made.stage == stage
    assert len(script.sent) == made.cost.calls == 2 and made.reason in asked(script.requests[1])
    script = in_turn(answer(*edits), answer(f"TAKE left {PLACE}\n"))
    made = crossed(tmp_path, script)
    assert isinstance(made, Proposal) and made.cost.calls == 2


def test_a_child_that_is_one_of_its_parents_is_refused(tmp_path: Path) -> None:
    left, right = family.parents()
    undone = [edit("replace " + a, read(left.genome.source, a)) for a in ("MLP.__init__", "Block.forward")]
    rest = [edit("delete swiglu"), edit("delete DROPOUT")]
    made = crossed(tmp_path, always(answer(f"TAKE left {PLACE}\n", *undone, *rest)))
    assert isinstance(made, Rejected) and made.stage == "same" and "only numbers differ from candidate 2" in made.reason


def test_a_merge_that_is_nothing_new_costs_no_call(tmp_path: Path) -> None:
    script = in_turn()
    made = crossed(tmp_path, script, 1, 1)
    assert isinstance(made, Rejected) and made.stage == "known" and not script.sent


def test_a_merge_that_may_not_be_costs_no_call(tmp_path: Path) -> None:
    left, right = family.told()[1], family.told()[8]
    cheat = replace(left, genome=replace(left.genome, source=left.genome.source + '\nopen("x")\n'))
    office = family.office(tmp_path, script := in_turn())
    made = Crossover(office).propose(family.mating(14, cheat, right), family.briefing())
    assert isinstance(made, Rejected) and made.stage == "rules" and "'open' is not allowed" in made.reason
    assert not script.sent


def test_programs_that_cannot_be_merged_cost_no_call(tmp_path: Path) -> None:
    left, right = family.parents()
    odd = replace(left, genome=replace(left.genome, source="def ("))
    office = family.office(tmp_path, script := in_turn())
    made = Crossover(office).propose(family.mating(14, odd, right), family.briefing())
    assert isinstance(made, Rejected) and made.stage == "edits" and not script.sent
    assert made.reason.startswith("merge of 2 and 3: a program to be merged does not parse, line 1")


def test_parents_without_a_common_ancestor_cost_no_call(tmp_path: Path) -> None:
    office = family.office(tmp_path, script := in_turn())
    made = Crossover(office).propose(replace(family.mating(14, *family.parents()), base=None), family.briefing())
    assert isinstance(made, Rejected) and made.reason == "2 and 3 have no common ancestor" and not script.sent
