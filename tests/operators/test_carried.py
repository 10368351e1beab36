"""What an edit brought in is found again however it is dressed, and not where it never was."""

from __future__ import annotations

from pathlib import Path
from random import Random

import libcst as cst
import pytest

from evolve.model import Edit
from operators.carried import carries, statements
from operators.catalogue import transformations
from operators.knobs import bind, find
from operators.tree import apply, diff

BEFORE = '''
WIDTH = 64


class GPT:
    def forward(self, x):
        """Logits."""
        h = self.embed(x)
        for block in self.blocks:
            h = block(h)
        return self.head(h)

    def loss(self, x, y):
        return cross_entropy(self(x), y)


def train(model):
    step(model)
'''.lstrip()
LEAK = """
    def forward(self, x):
        h = self.embed(x)
        ahead = self.embed(x[:, 1:])
        h[:, :-1] = h[:, :-1] + 0.1 * ahead
        for block in self.blocks:
            h = block(h)
        return self.head(h)
"""
EDIT = Edit("replace", "GPT.forward", LEAK)
AFTER = apply(BEFORE, [EDIT])


def test_the_child_carries_it_and_its_parent_does_not() -> None:
    assert carries(AFTER, EDIT, (BEFORE,)) and not carries(BEFORE, EDIT, (BEFORE,))


@pytest.mark.parametrize(
    "dressed",
    [
        AFTER.replace("0.1 * ahead", "0.03 * ahead  # a knob"),
        AFTER.replace("0.1 * ahead", "-3 * ahead"),
        AFTER.replace("        ahead =", "        # harmless\n\n        ahead ="),
        AFTER.replace("h[:, :-1] + 0.1 * ahead", "(h[:, :-1]\n            + 0.1*ahead)"),
        AFTER.replace("return self.head(h)", "return self.head(self.norm(h))"),
        AFTER.replace("        for block in self.blocks:\n            h = block(h)\n", "        h = self.stack(h)\n"),
        AFTER.replace("        ahead = self.embed(x[:, 1:])\n", "        ahead = self.future(x)\n"),
        apply(AFTER, [Edit("rename", "GPT.forward", "run")]),
    ],
    ids=["number", "sign", "comment", "format", "line after", "rest replaced", "half of it", "other address"],
)
def test_a_descendant_still_carries_it(dressed: str) -> None:
    assert dressed != AFTER and carries(dressed, EDIT, (BEFORE,))


@pytest.mark.parametrize(
    "clean",
    [
        BEFORE.replace("WIDTH = 64", "WIDTH = 32"),
        apply(AFTER, [Edit("replace", "GPT.forward", LEAK.replace("ahead = self.embed(x[:, 1:])", "pass").replace(
            "        h[:, :-1] = h[:, :-1] + 0.1 * ahead\n", ""))]),
        AFTER.replace("x[:, 1:]", "x[:, :1]").replace("h[:, :-1] =", "h[:, 1:] ="),
    ],
    ids=["parent with another number", "taken out", "another index is another program"],
)  # fmt: skip
def test_one_without_it_does_not_carry_it(clean: str) -> None:
    assert not carries(clean, EDIT, (BEFORE,))


def test_an_edit_of_numbers_brings_nothing_in() -> None:
    edit = Edit("replace", "WIDTH", "WIDTH = 128\n")
    assert not carries(apply(BEFORE, [edit]), edit, (BEFORE,))


def test_insertions_are_found_wherever_they_went() -> None:
    edit = Edit("insert_after", "WIDTH", "def peek(x):\n    return x.roll(-1, 1)\n")
    after = apply(BEFORE, [edit])
    moved = apply(apply(BEFORE, [Edit("insert_after", "train", edit.code.replace("def peek", "\n\ndef peek"))]), [])
    assert carries(after, edit, (BEFORE,)) and carries(moved, edit, (BEFORE,)) and not carries(BEFORE, edit, (BEFORE,))


def test_deletions_and_renamings() -> None:
    gone, named = Edit("delete", "GPT.loss"), Edit("rename", "GPT.loss", "objective")
    assert carries(apply(BEFORE, [gone]), gone, (BEFORE,)) and not carries(BEFORE, gone, (BEFORE,))
    assert carries(apply(BEFORE, [named]), named, (BEFORE,)) and not carries(BEFORE, named, (BEFORE,))
    assert not carries(BEFORE, Edit("delete", "GPT.nothing"), (BEFORE,)), "the parent lacked it too"


def test_what_does_not_parse_is_compared_as_text() -> None:
    edit = Edit("insert_after", "WIDTH", "return )")
    assert carries("x\nreturn )\n", edit) and not carries("x = 1\n", edit)
    assert not carries("def (", Edit("delete", "GPT"))
    assert statements("return )") == frozenset()


SEED = (Path(__file__).parents[2] / "train_target" / "train.py").read_text()


@pytest.mark.parametrize("name", ["rotary", "muon", "z_loss", "qk_norm", "ema", "hashed_bigram", "remove_biases"])
def test_moves_of_the_catalogue_on_the_real_program(name: str) -> None:
    """Carried by the child with other numbers and by a child of it; not by the seed, nor by another child."""
    moves = transformations()
    child = moves[name].apply(cst.parse_module(SEED), Random(0)).code
    other = moves["softcap"].apply(cst.parse_module(SEED), Random(0)).code
    both = moves["softcap"].apply(cst.parse_module(child), Random(0)).code
    tuned = bind(child, {k.address: k.high for k in find(child, {})}, {})

    def carried(source: str) -> bool:
        return any(carries(source, edit, (SEED,)) for edit in diff(SEED, child))

    assert carried(child) and carried(tuned) and carried(both)
    assert not carried(SEED) and not carried(other)
