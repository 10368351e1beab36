"""The recognisers of the model: the same roles under three spellings."""

from __future__ import annotations

import libcst as cst
import pytest

from operators.catalogue import Refused
from operators.catalogue._edit import text
from operators.catalogue._mlp import feed_forward, residual_projections
from operators.catalogue._model import after_initialisation, attention, block, branches, calls, layers, model
from tests.operators.catalogue.harness import SCRIPTS

TREES = {name: cst.parse_module(source) for name, source in SCRIPTS.items()}


@pytest.mark.parametrize(
    ("script", "cls", "output", "width", "heads", "head_dim", "mixed"),
    [
        ("plain", "Attention", "proj", "DIM", "HEADS", "DIM // HEADS", "F.scaled_dot_product_attention"),
        ("dataclass", "SelfAttention", "out", "config.n_embd", "self.n_head", "self.head_dim", "(weights @ v)"),
        ("autoresearch", "Attention", "c_proj", "DIM", "DIM // HEAD_DIM", "HEAD_DIM", "F.scaled_dot_product_attention"),
    ],
)
def test_attention_is_what_compares_queries_with_keys(
    script: str, cls: str, output: str, width: str, heads: str, head_dim: str, mixed: str
) -> None:
    found = attention(TREES[script])
    assert (found.name, found.output, found.query, found.key, found.value) == (cls, output, "q", "k", "v")
    assert (found.width, found.heads, found.head_dim) == (width, heads, head_dim)
    assert text(found.mixed).startswith(mixed)


@pytest.mark.parametrize(
    ("script", "owner", "activation", "paths"),
    [
        ("plain", "MLP", "F.gelu(x)", ["attn.proj", "mlp.proj"]),
        ("dataclass", "Block", "nn.ReLU()", ["attn.out", "mlp[2]"]),
        ("autoresearch", "MLP", "F.relu(self.c_fc(x)).square()", ["attn.c_proj", "mlp.c_proj"]),
    ],
)
def test_mlp_is_two_linear_layers_in_a_class_or_a_sequential(
    script: str, owner: str, activation: str, paths: list[str]
) -> None:
    found = feed_forward(TREES[script])
    assert (found.owner, text(found.activation), found.gated) == (owner, activation, False)
    assert residual_projections(TREES[script]) == paths


@pytest.mark.parametrize(
    ("script", "tokens", "head", "container", "index"),
    [
        ("plain", "tok_emb", "head", "self.blocks", None),
        ("dataclass", "wte", "lm_head", "self.h", None),
        ("autoresearch", "wte", "lm_head", "self.blocks", "layer"),
    ],
)
def test_model_owns_embedding_head_and_the_loop_over_the_blocks(
    script: str, tokens: str, head: str, container: str, index: str | None
) -> None:
    found, loop = model(TREES[script]), layers(TREES[script])
    assert (found.name, found.tokens, found.head, found.input) == ("GPT", tokens, head, "idx")
    assert (loop.container, loop.index, loop.block, loop.stream) == (container, index, "block", "x")


@pytest.mark.parametrize("script", SCRIPTS)
def test_branches_are_attention_then_mlp(script: str) -> None:
    assert block(TREES[script]).name == "Block"
    assert [text(branch.branch.func) for branch in branches(TREES[script])] == ["self.attn", "self.mlp"]


def test_calls_come_in_the_order_of_evaluation() -> None:
    assert [text(call.func) for call in calls(cst.parse_expression("f(g(x), h(y)(z))"))] == ["g", "h", "h(y)", "f"]


def test_weights_are_final_after_the_method_that_is_called_from_outside() -> None:
    source = SCRIPTS["autoresearch"].replace("        self.init_weights()\n", "")
    source = source.replace("model = GPT(vocab_size).to(DEVICE)\n", "model = GPT(vocab_size)\nmodel.init_weights()\n")
    after = after_initialisation(cst.parse_module(source), "self.done = True").code
    assert after == source.replace(
        "            nn.init.zeros_(block.mlp.c_proj.weight)\n",
        "            nn.init.zeros_(block.mlp.c_proj.weight)\n        self.done = True\n",
    )


def test_a_script_without_attention_is_refused_with_the_reason() -> None:
    source = SCRIPTS["plain"].replace("F.scaled_dot_product_attention(q, k, v, is_causal=True)", "q + k + v")
    with pytest.raises(Refused, match="no class compares named queries with named keys"):
        attention(cst.parse_module(source))
