"""Transformations of attention: program before, program after."""

from __future__ import annotations

import torch

from operators.catalogue import (
    attention_gate,
    grouped_query,
    multi_query,
    no_position_embedding,
    qk_norm,
    rotary,
    sliding_window,
)
from tests.operators.catalogue.harness import LENGTH, SCRIPTS, VOCABULARY, changed_lines, run, transformed


def test_qk_norm_comes_right_before_the_comparison() -> None:
    before = SCRIPTS["dataclass"]
    score = "        scores = q @ k.transpose(-2, -1)"
    norms = "        q = F.rms_norm(q, (q.size(-1),))\n        k = F.rms_norm(k, (k.size(-1),))\n"
    assert transformed(qk_norm, before) == before.replace(score, norms + score)


def test_rotary_takes_the_place_of_learned_positions() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(rotary, SCRIPTS["plain"]))
    assert gone == [
        "        self.pos_emb = nn.Embedding(MAX_SEQ_LEN, DIM)",
        "        T = idx.shape[1]",
        "        pos = torch.arange(T, device=idx.device)",
        "        x = self.tok_emb(idx) + self.pos_emb(pos)",
    ]
    assert "        q, k = rotary(q), rotary(k)" in new
    assert "        x = self.tok_emb(idx)" in new


def test_rotary_makes_scores_depend_on_the_distance_only() -> None:
    code = rotary.ROTARY
    names: dict[str, object] = {"torch": torch, "ROTARY_BASE": 10_000}
    exec(code, names)
    row = torch.randn(1, 1, 1, 16).expand(1, 1, 12, 16)
    turned = names["rotary"](row)  # type: ignore[operator]
    scores = (turned @ turned.transpose(-2, -1))[0, 0]
    assert torch.allclose(scores[5, 2], scores[9, 6], atol=1e-5)
    assert not torch.allclose(scores[5, 2], scores[5, 4], atol=1e-3)


def test_no_position_embedding_leaves_only_the_tokens() -> None:
    gone, new = changed_lines(SCRIPTS["dataclass"], transformed(no_position_embedding, SCRIPTS["dataclass"]))
    assert gone == [
        "        self.wpe = nn.Embedding(config.block_size, config.n_embd)",
        "        positions = torch.arange(idx.shape[1], device=idx.device)",
        "        x = self.drop(self.wte(idx) + self.wpe(positions))",
    ]
    assert new == ["        x = self.drop(self.wte(idx))"]


def test_a_position_embedding_under_a_name_is_removed_too() -> None:
    source = SCRIPTS["plain"].replace(
        "        x = self.tok_emb(idx) + self.pos_emb(pos)\n",
        "        where = self.pos_emb(pos)\n        x = self.tok_emb(idx) + where\n",
    )
    assert transformed(no_position_embedding, source) == transformed(no_position_embedding, SCRIPTS["plain"])


def test_attention_gate_scales_what_the_heads_found() -> None:
    gone, new = changed_lines(SCRIPTS["dataclass"], transformed(attention_gate, SCRIPTS["dataclass"]))
    assert gone == ["        y = (weights @ v).transpose(1, 2).reshape(B, T, C)"]
    assert new == [
        "        self.head_gate = nn.Linear(config.n_embd, self.n_head, bias=False)",
        "        head_gate = 2 * torch.sigmoid(self.head_gate(x)).transpose(1, 2).unsqueeze(-1)",
        "        y = (head_gate * (weights @ v)).transpose(1, 2).reshape(B, T, C)",
    ]


def test_grouped_query_narrows_a_fused_projection() -> None:
    _, new = changed_lines(SCRIPTS["plain"], transformed(grouped_query, SCRIPTS["plain"]))
    assert "KV_HEADS = 2  # knob: 1|2" in new
    assert "        self.qkv = nn.Linear(DIM, DIM + 2 * KV_HEADS * DIM // HEADS)" in new


def test_multi_query_has_fewer_parameters_than_grouped_query() -> None:
    sizes = []
    for transformation in (multi_query, grouped_query):
        model = run(transformed(transformation, SCRIPTS["dataclass"])).model
        assert model is not None
        sizes.append(sum(p.numel() for p in model.parameters()))
    assert sizes[0] < sizes[1]


def test_sliding_window_hides_distant_tokens_from_every_second_block() -> None:
    source = transformed(sliding_window, SCRIPTS["plain"]).replace("SHORT_WINDOW = 64", "SHORT_WINDOW = 4")
    source = source.replace("DEPTH = 2", "DEPTH = 1")
    model = run(source).model
    assert model is not None
    tokens = torch.randint(VOCABULARY, (1, LENGTH))
    far, near = tokens.clone(), tokens.clone()
    far[0, -5], near[0, -4] = (far[0, -5] + 1) % VOCABULARY, (near[0, -4] + 1) % VOCABULARY
    with torch.no_grad():
        last, with_far, with_near = (model(t)[0, -1] for t in (tokens, far, near))
    assert torch.allclose(last, with_far, atol=1e-6)
    assert not torch.allclose(last, with_near, atol=1e-6)
