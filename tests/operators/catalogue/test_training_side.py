"""What the transformations of the training side do when the script runs: new parts compute their formula."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any
from unittest import mock

import libcst as cst
import pytest
import torch
import torch.nn as nn

from operators.catalogue import Refused, cautious_updates, cautious_weight_decay, muon, normuon, transformations
from operators.catalogue import _training as training
from tests.operators.catalogue.harness import SCRIPTS, assert_trains, refusal, transformed

SIDE = [
    "adaptive_clipping",
    "amsgrad",
    "batch_size_schedule",
    "bf16_autocast",
    "cautious_updates",
    "cautious_weight_decay",
    "clip_per_parameter",
    "clip_removal",
    "compile_model",
    "cooldown_cosine",
    "cooldown_linear",
    "cooldown_sqrt",
    "ema",
    "embedding_learning_rate",
    "embeddings_every_second_step",
    "fused_adamw",
    "gradient_accumulation",
    "gradient_centralization",
    "inverse_sqrt",
    "label_smoothing",
    "lion",
    "lookahead",
    "matmul_precision",
    "momentum_schedule",
    "muon",
    "normuon",
    "parameter_groups",
    "sequence_length_schedule",
    "warmup",
    "weight_averaging",
    "weight_decay_schedule",
    "z_loss",
]


def definitions(code: str, **constants: float) -> dict[str, Any]:
    """What `code` defines, given these constants."""
    scope: dict[str, Any] = {"torch": torch, "nn": nn, **constants}
    exec(code, scope)
    return scope


@pytest.mark.parametrize("name", SIDE)
def test_applies_to_two_scripts_or_more_which_then_train(name: str) -> None:
    transformation = transformations()[name]
    taken = [script for script in SCRIPTS.values() if not refusal(transformation, script)]
    assert len(taken) >= 2
    with mock.patch("torch.compile", lambda model: model):  # compiling takes longer than all tests together
        for script in taken:
            assert_trains(transformed(transformation, script))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("order", [1, -1])
def test_all_together_train_in_either_order(script: str, order: int) -> None:
    module, count = cst.parse_module(SCRIPTS[script]), 0
    for name in SIDE[::order]:
        with suppress(Refused):
            module = transformations()[name].apply(module, random.Random(0))
            count += 1
    assert count > len(SIDE) / 2
    with mock.patch("torch.compile", lambda model: model):
        assert_trains(module.code)


@pytest.mark.parametrize("name", SIDE)
def test_refuses_a_program_that_trains_nothing(name: str) -> None:
    assert name == "matmul_precision" or refusal(transformations()[name], "import torch\n\nSTEPS = 3\nprint(STEPS)\n")


@pytest.mark.parametrize("name", ["cooldown_linear", "cooldown_cosine", "cooldown_sqrt"])
def test_cooldown_goes_from_one_to_the_final_fraction(name: str) -> None:
    after = cst.parse_module(transformed(transformations()[name], SCRIPTS["plain"]))
    function = next(n for n in after.body if isinstance(n, cst.FunctionDef) and n.name.value == "lr_cooldown")
    import_math = "import math\n"
    code = import_math + cst.Module([function]).code
    cooldown = definitions(code, COOLDOWN=0.4, FINAL_LR=0.1)["lr_cooldown"]
    course = [cooldown(done / 20) for done in range(21)]
    assert course[:13] == pytest.approx([1.0] * 13)
    assert course[20] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in zip(course[12:], course[13:], strict=False))


def test_a_cooldown_of_another_shape_replaces_the_first() -> None:
    linear = transformed(transformations()["cooldown_linear"], SCRIPTS["plain"])
    cosine = transformed(transformations()["cooldown_cosine"], linear)
    assert cosine == transformed(transformations()["cooldown_cosine"], SCRIPTS["plain"])


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8)])
def test_muon_makes_singular_values_alike_in_every_matrix_of_the_stack(shape: tuple[int, int]) -> None:
    orthogonalize = definitions(muon.CODE, MUON_ITERATIONS=5)["orthogonalize"]
    stack = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(stack))
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert torch.allclose(orthogonalize(stack)[1], orthogonalize(stack[1:2])[0], atol=1e-5)


def test_muon_steps_matrices_and_leaves_the_rest_to_adamw() -> None:
    scope = definitions(muon.CODE + training.SPLIT_GROUPS, MUON_ITERATIONS=5, MUON_MOMENTUM=0.95, MUON_SCALE=0.2)
    matrix, bias = nn.Parameter(torch.zeros(8, 4)), nn.Parameter(torch.zeros(8))
    groups = scope["split_groups"]([matrix, bias], [matrix], muon=True)
    optimizer = scope["Muon"](groups, lr=0.1)
    matrix.grad, bias.grad = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.ones(8)
    optimizer.step()
    assert torch.allclose(bias, torch.full((8,), -0.1))
    assert matrix.detach().square().mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.3)


def test_normuon_evens_the_rows_and_keeps_the_norm() -> None:
    equalize_rows = definitions(normuon.CODE, NORMUON_BETA2=0.5)["equalize_rows"]
    update = torch.tensor([[[3.0, 4.0], [0.3, 0.4]]])
    even = equalize_rows(update, {})
    assert even.norm(dim=-1)[0, 0].item() == pytest.approx(even.norm(dim=-1)[0, 1].item(), rel=1e-4)
    assert even.norm().item() == pytest.approx(update.norm().item(), rel=1e-4)


def test_cautious_update_keeps_what_goes_downhill() -> None:
    take_back = definitions(cautious_updates.CODE)["take_back_uphill"]
    p = nn.Parameter(torch.tensor([1.0, 1.0]))
    p.grad = torch.tensor([1.0, -1.0])
    optimizer = torch.optim.SGD([p], lr=0.1)
    before = [torch.tensor([1.1, 1.1])]  # both moved down by 0.1; the second gradient says up
    take_back(optimizer, before)
    assert p.detach().tolist() == pytest.approx([0.9, 1.1])  # the kept half is doubled


def test_cautious_decay_acts_only_where_the_step_shrinks_too() -> None:
    give_back = definitions(cautious_weight_decay.CODE)["give_back_decay"]
    p = nn.Parameter(torch.tensor([1.0, 1.0]))
    p.grad = torch.tensor([1.0, -1.0])
    optimizer = torch.optim.AdamW([p], lr=0.1, weight_decay=0.5)
    before = [[p.detach().clone()]]
    optimizer.step()
    give_back(optimizer, before)
    assert p.detach().tolist() == pytest.approx([0.85, 1.1])  # decay 0.05 beside a step of 0.1; then none
