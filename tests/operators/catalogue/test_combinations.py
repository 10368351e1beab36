"""Transformations applied to the result of others keep their meaning; so do numbers at the ends of their ranges."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from operators import knobs
from operators.catalogue import (
    Transformation,
    batch_size_schedule,
    cautious_updates,
    cautious_weight_decay,
    clip_per_parameter,
    clip_removal,
    embeddings_every_second_step,
    gradient_accumulation,
    grouped_query,
    hashed_bigram,
    lion,
    lookahead,
    muon,
    norm_no_affine,
    remove_biases,
    sliding_window,
    transformations,
)
from operators.catalogue import _training as training
from tests.operators.catalogue.harness import SCRIPTS, assert_trains, refusal, transformed


def defined(code: str, **constants: float) -> dict[str, Any]:
    """What `code` defines, given these constants."""
    scope: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, **constants}
    exec(code, scope)
    return scope


def both(first: Transformation, second: Transformation, script: str = "plain") -> str:
    """A script after two transformations."""
    return transformed(second, transformed(first, SCRIPTS[script]))


def test_a_batch_smaller_than_its_parts_keeps_a_row() -> None:
    source = transformed(batch_size_schedule, SCRIPTS["autoresearch"])
    assert_trains(knobs.bind(source, {"SMALL_BATCH_PARTS": 8}))


def test_a_table_within_a_table_is_held_once() -> None:
    scope = defined(hashed_bigram.CLASS.replace("(Embedding)", "(nn.Embedding)"), BIGRAM_BUCKETS=5)
    hold = defined(embeddings_every_second_step.CODE)["hold_every_second"]
    table = scope["BigramEmbedding"](3, 2)
    seen = []
    for _ in range(4):
        table.pairs.weight.grad = torch.ones(5, 2)
        hold(nn.ModuleList([table]))
        seen.append(None if table.pairs.weight.grad is None else table.pairs.weight.grad.max().item())
    assert seen == [None, 2.0, None, 2.0]


@pytest.mark.parametrize("weight", [1.0, -1.0])
def test_cautious_decay_gives_back_no_more_than_lion_took(weight: float) -> None:
    give_back = defined(cautious_weight_decay.CODE)["give_back_decay"]
    p = nn.Parameter(torch.full((2,), weight))
    p.grad = torch.tensor([1.0, -1.0])
    optimizer = defined(lion.CODE, LION_LR_RATIO=0.2)["Lion"]([p], lr=0.1, weight_decay=0.5)
    before = [[p.detach().clone()]]
    optimizer.step()
    give_back(optimizer, before)
    decayed = [0.05 * weight if weight * sign > 0 else 0.0 for sign in (1, -1)]
    assert p.detach().tolist() == pytest.approx([weight - 0.02 - decayed[0], weight + 0.02 - decayed[1]])


def test_an_update_of_muon_can_be_cautious() -> None:
    scope = defined(muon.CODE + training.SPLIT_GROUPS, MUON_ITERATIONS=5, MUON_MOMENTUM=0.95, MUON_SCALE=0.2)
    take_back = defined(cautious_updates.CODE)["take_back_uphill"]
    p = nn.Parameter(torch.zeros(8, 4))
    optimizer = scope["Muon"](scope["split_groups"]([p], [p], muon=True), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    p.grad = torch.randn(8, 4, generator=generator)
    optimizer.step()
    p.grad = -0.1 * p.grad * torch.randn(8, 4, generator=generator).sign()
    before, gradient = [p.detach().clone()], p.grad.clone()
    optimizer.step()
    take_back(optimizer, before)
    assert p.grad is not None
    assert torch.equal(p.grad, gradient)
    assert ((p.detach() - before[0]) * gradient <= 1e-9).all()


@pytest.mark.parametrize("order", [1, -1])
def test_decay_is_given_back_before_updates_are_taken_back(order: int) -> None:
    source = both(*(cautious_updates, cautious_weight_decay)[::order])
    lines = [line.strip() for line in source.splitlines()]
    step = lines.index("optimizer.step()")
    assert lines[step + 1 : step + 3] == [
        "give_back_decay(optimizer, undecayed)",
        "take_back_uphill(optimizer, before)",
    ]


def test_slow_weights_follow_once_an_update_with_accumulated_gradients_too() -> None:
    in_one_order, in_the_other = both(lookahead, gradient_accumulation), both(gradient_accumulation, lookahead)
    call = next(line for line in in_the_other.splitlines() if "lookahead.update(" in line)
    assert call.startswith(" " * 8)
    assert call in in_one_order.splitlines()


@pytest.mark.parametrize("script", ["plain", "dataclass"])
def test_clipping_one_by_one_goes_with_its_loop(script: str) -> None:
    removed = transformed(clip_removal, SCRIPTS[script])
    assert both(clip_per_parameter, clip_removal, script) == removed


def test_a_norm_without_a_bias_may_lose_its_gain() -> None:
    source = both(remove_biases, norm_no_affine)
    assert source.count("nn.LayerNorm(DIM, elementwise_affine=False)") == 3
    assert refusal(norm_no_affine, source)
    assert refusal(remove_biases, source)


@pytest.mark.parametrize("script", ["plain", "dataclass"])
def test_the_number_of_shared_heads_is_a_knob(script: str) -> None:
    source = transformed(grouped_query, SCRIPTS[script])
    knob = next(k for k in knobs.find(source) if k.address == "KV_HEADS")
    assert knob.values == (1, 2)
    for value in knob.values:
        assert_trains(knobs.bind(source, {"KV_HEADS": value}))


@pytest.mark.parametrize("name", ["cooldown_linear", "embedding_learning_rate"])
def test_a_learning_rate_may_be_assigned_under_any_name(name: str) -> None:
    before = (
        SCRIPTS["dataclass"].replace("for group in optimizer", "for g in optimizer").replace('group["lr"]', 'g["lr"]')
    )
    assert_trains(transformed(transformations()[name], before))


def test_short_windows_are_tuned_where_they_are_shorter_than_a_sequence() -> None:
    knob = next(k for k in knobs.find(transformed(sliding_window, SCRIPTS["plain"])) if k.address == "SHORT_WINDOW")
    assert knob.low < 16
    assert knob.high <= 2 * 128  # sequences of the smaller scale
