"""Transformations of blocks, MLPs, norms and initial weights: program before, program after."""

from __future__ import annotations

import torch

from operators.catalogue import (
    drop_first_mlp,
    dropout,
    embedding_skip,
    init_scaled_by_depth,
    norm_no_affine,
    parallel_block,
    post_norm,
    relu_squared,
    remove_biases,
    rmsnorm,
    swiglu,
    unet_skips,
    zero_init_projection,
)
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, run, transformed


def test_rmsnorm_keeps_width_and_epsilon() -> None:
    before = SCRIPTS["dataclass"]
    assert transformed(rmsnorm, before) == before.replace("nn.LayerNorm(", "nn.RMSNorm(")


def test_rmsnorm_drops_what_an_rms_norm_does_not_have() -> None:
    before = SCRIPTS["plain"].replace("nn.LayerNorm(DIM)", "nn.LayerNorm(DIM, bias=False)")
    assert transformed(rmsnorm, before) == SCRIPTS["plain"].replace("nn.LayerNorm(DIM)", "nn.RMSNorm(DIM)")


def test_norm_no_affine_removes_gains() -> None:
    before = SCRIPTS["plain"]
    after = before.replace("nn.LayerNorm(DIM)", "nn.LayerNorm(DIM, elementwise_affine=False)")
    assert transformed(norm_no_affine, before) == after


def test_remove_biases_leaves_none() -> None:
    model = run(transformed(remove_biases, SCRIPTS["plain"])).model
    assert model is not None
    assert [name for name, _ in model.named_parameters() if name.endswith("bias")] == []


def test_remove_biases_refuses_where_code_counts_on_them() -> None:
    source = SCRIPTS["plain"].replace(" and module.bias is not None", "")
    assert "without asking" in refusal(remove_biases, source)


def test_relu_squared_replaces_a_function() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(relu_squared, SCRIPTS["plain"]))
    assert gone == ["        x = F.gelu(x)"]
    assert new[-1] == "        x = relu_squared(x)"


def test_relu_squared_replaces_a_module() -> None:
    gone, new = changed_lines(SCRIPTS["dataclass"], transformed(relu_squared, SCRIPTS["dataclass"]))
    assert gone == ["            nn.ReLU(),"]
    assert new[-1] == "            ReluSquared(),"


def test_swiglu_has_about_as_many_parameters() -> None:
    before, after = run(SCRIPTS["autoresearch"]).model, run(transformed(swiglu, SCRIPTS["autoresearch"])).model
    assert before is not None and after is not None
    sizes = [sum(p.numel() for p in model.parameters()) for model in (before, after)]
    assert abs(sizes[1] / sizes[0] - 1) < 0.05


def test_a_gated_mlp_keeps_its_activation() -> None:
    assert "gated" in refusal(relu_squared, transformed(swiglu, SCRIPTS["plain"]))


def test_parallel_block_merges_the_two_sums() -> None:
    before = SCRIPTS["dataclass"]
    sequential = "        x = x + self.attn(self.ln_1(x))\n        return x + self.mlp(self.ln_2(x))\n"
    parallel = "        return x + self.attn(self.ln_1(x)) + self.mlp(self.ln_2(x))\n"
    assert transformed(parallel_block, before) == before.replace(sequential, parallel)


def test_post_norm_moves_the_norm_to_the_sum() -> None:
    before = SCRIPTS["autoresearch"]
    after = before.replace(
        "x = x + self.attn(norm(x), value_embedding, tables)", "x = norm(x + self.attn(x, value_embedding, tables))"
    ).replace("return x + self.mlp(norm(x))", "return norm(x + self.mlp(x))")
    assert transformed(post_norm, before) == after


def test_dropout_is_off_in_evaluation() -> None:
    report = run(transformed(dropout, SCRIPTS["plain"]).replace("DROPOUT = 0.1", "DROPOUT = 0.9"))
    assert report.causal  # two forward passes agree


def test_dropout_refuses_a_script_that_never_switches_to_evaluation() -> None:
    assert "never calls `eval()`" in refusal(dropout, SCRIPTS["plain"].replace("model.eval()", "model"))


def test_drop_first_mlp_drops_that_of_the_first_block_only() -> None:
    model = run(transformed(drop_first_mlp, SCRIPTS["dataclass"])).model
    assert model is not None
    names = [name for name, _ in model.named_parameters()]
    assert not any(name.startswith("h.0.mlp") for name in names)
    assert any(name.startswith("h.1.mlp") for name in names)


def test_zero_init_projection_makes_each_block_the_identity_at_the_start() -> None:
    source = transformed(zero_init_projection, SCRIPTS["dataclass"]).replace("lr: float = 2e-3", "lr: float = 0.0")
    model = run(source).model
    assert model is not None
    x = torch.randn(1, 4, 64)
    with torch.no_grad():
        assert all(torch.equal(block(x), x) for block in model.h)  # type: ignore[union-attr]


def test_zero_init_projection_refuses_where_some_block_has_no_mlp() -> None:
    assert "no MLP" in refusal(zero_init_projection, transformed(drop_first_mlp, SCRIPTS["plain"]))


def test_init_scaled_by_depth_replaces_zeros() -> None:
    gone, _ = changed_lines(SCRIPTS["autoresearch"], transformed(init_scaled_by_depth, SCRIPTS["autoresearch"]))
    assert gone == [
        "            nn.init.zeros_(block.attn.c_proj.weight)",
        "            nn.init.zeros_(block.mlp.c_proj.weight)",
    ]


def test_embedding_skip_adds_to_the_input_of_each_block() -> None:
    before = SCRIPTS["dataclass"]
    loop = "        for block in self.h:\n"
    skip = "            x = x + block.embedding_skip * x0\n"
    end = "            nn.Dropout(config.dropout),\n        )\n"
    parameter = "        self.embedding_skip = nn.Parameter(torch.zeros(()))\n"
    after = before.replace(loop, "        x0 = x\n" + loop + skip).replace(end, end + parameter)
    assert transformed(embedding_skip, before) == after


def test_unet_skips_pair_the_outermost_blocks() -> None:
    source = transformed(unet_skips, SCRIPTS["plain"]).replace("DEPTH = 2", "DEPTH = 5")
    assert "for layer, block in enumerate(self.blocks):" in source
    report = run(source)
    assert report.model is not None
    used = [block.unet_skip.grad is not None for block in report.model.blocks]  # type: ignore[union-attr]
    assert used == [False, False, False, True, True]
