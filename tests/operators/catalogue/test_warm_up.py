"""The seed warms up before the clock where it compiles; whatever the catalogue makes of it, it learns nothing by that.

`torch.compile` itself is left out here: it takes half a minute on a CPU, and compiled or not the step is the same.
"""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from operators.catalogue import transformations
from tests.operators.catalogue.harness import SCRIPTS, refusal, run, transformed

COUNTING = {  # what is kept outside weights and optimizer has counted one step more, and no weights are learnt by that
    "ema": "the weights of the warm-up step are the first of the average",
    "embeddings_every_second_step": "the other half of the steps",
    "gradient_accumulation": "the first update has a batch less",
    "lookahead": "the weights of the warm-up step are the first slow ones",
}


def parts(source: str) -> tuple[str, str]:
    """The model, and how it is trained."""
    model, _, training = source.partition("# Setup\n")
    return model, training


def applied() -> dict[str, str]:
    """The seed as it is, and after each transformation that touches how it is trained."""
    seed = SCRIPTS["plain"]
    made = {n: transformed(move, seed) for n, move in transformations().items() if not refusal(move, seed)}
    return {"the seed": seed} | {n: text for n, text in made.items() if parts(text)[1] != parts(seed)[1]}


def logits(source: str, compiled: bool) -> torch.Tensor:
    changed = source.replace("COMPILE = False", f"COMPILE = {compiled}")
    with mock.patch("torch.compile", lambda model: model):
        found = run(changed).logits
    assert found is not None and changed.count(f"COMPILE = {compiled}") == 1
    return found


@pytest.mark.parametrize(("name", "source"), applied().items(), ids=applied())
def test_a_script_that_warmed_up_trains_as_one_that_did_not(name: str, source: str) -> None:
    same = torch.equal(logits(source, True), logits(source, False))
    assert same == (name not in COUNTING)
