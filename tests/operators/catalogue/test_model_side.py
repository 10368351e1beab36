"""Where each transformation of the model applies, what it says where it does not, and that its result trains."""

from __future__ import annotations

import random

import libcst as cst
import pytest

from operators.catalogue import Refused, transformations
from tests.operators.catalogue.harness import SCRIPTS, assert_trains, refusal, transformed

# The reason, or a part of it, for which a transformation refuses a script. It applies to those that are not listed.
REFUSALS: dict[str, dict[str, str]] = {
    "attention_gate": {},
    "drop_first_mlp": {},
    "dropout": {"dataclass": "has dropout already"},
    "embedding_skip": {},
    "grouped_query": {},
    "hashed_bigram": {},
    "hashed_trigram": {},
    "init_scaled_by_depth": {"dataclass": "contains a root already"},
    "multi_query": {},
    "no_position_embedding": {"autoresearch": "no learned position embedding"},
    "norm_no_affine": {"autoresearch": "no norm with a gain"},
    "parallel_block": {},
    "post_norm": {},
    "qk_norm": {"autoresearch": "normalises its queries already"},
    "relu_squared": {"autoresearch": "squared ReLU already"},
    "remove_biases": {"autoresearch": "says whether it has a bias"},
    "rmsnorm": {"autoresearch": "no nn.LayerNorm"},
    "rotary": {"autoresearch": "computes sines"},
    "sliding_window": {"dataclass": "does not call `scaled_dot_product_attention"},
    "softcap": {"autoresearch": "capped"},
    "swiglu": {},
    "tie_head": {"plain": "tied already"},
    "token_smear": {},
    "unet_skips": {},
    "untie_head": {"dataclass": "not tied", "autoresearch": "not tied"},
    "value_embedding": {"autoresearch": "already uses the name"},
    "zero_init_projection": {"autoresearch": "starts at zero already"},
}
APPLICABLE = [(name, script) for name, refused in REFUSALS.items() for script in SCRIPTS if script not in refused]
ONE_SCRIPT_ONLY = {"untie_head"}  # a script is either tied or not: of three, tie_head has two and this has the third


@pytest.mark.parametrize(("name", "script"), APPLICABLE)
def test_result_trains_stays_causal_and_is_not_transformed_twice(name: str, script: str) -> None:
    transformation = transformations()[name]
    after = transformed(transformation, SCRIPTS[script])
    assert after != SCRIPTS[script]
    assert_trains(after)
    assert refusal(transformation, after) != ""


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_where_its_precondition_fails(name: str) -> None:
    for script, reason in REFUSALS[name].items():
        assert reason in refusal(transformations()[name], SCRIPTS[script])


@pytest.mark.parametrize("name", REFUSALS)
def test_applies_to_scripts_of_different_style(name: str) -> None:
    applicable = len(SCRIPTS) - len(REFUSALS[name])
    assert applicable >= (1 if name in ONE_SCRIPT_ONLY else 2)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_themselves_train(script: str) -> None:
    assert_trains(SCRIPTS[script])


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "script"), list(enumerate(SCRIPTS)))
def test_transformations_combine_in_any_order(seed: int, script: str) -> None:
    names = random.Random(seed).sample(sorted(REFUSALS), 9)
    source, applied = SCRIPTS[script], 0
    for name in names:
        try:
            source = transformed(transformations()[name], source)
        except Refused:
            continue
        applied += 1
    assert applied >= 4
    assert_trains(source)


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_a_script_without_a_transformer(name: str) -> None:
    with pytest.raises(Refused):
        transformations()[name].apply(cst.parse_module("import torch\n\nSTEPS = 3\nprint(STEPS)\n"), random.Random(0))
