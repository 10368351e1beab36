"""Transformations of embeddings and head: program before, program after."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from operators.catalogue import (
    hashed_bigram,
    hashed_trigram,
    softcap,
    tie_head,
    token_smear,
    untie_head,
    value_embedding,
)
from tests.operators.catalogue import harness
from tests.operators.catalogue.harness import (
    LENGTH,
    SCRIPTS,
    VOCABULARY,
    assert_trains,
    changed_lines,
    refusal,
    run,
    transformed,
)


def test_untie_head_removes_the_assignment() -> None:
    before = SCRIPTS["plain"]
    assert transformed(untie_head, before) == before.replace("        self.head.weight = self.tok_emb.weight\n", "")


def test_untie_head_undoes_tie_head() -> None:
    tied = transformed(tie_head, SCRIPTS["dataclass"])
    assert changed_lines(SCRIPTS["dataclass"], tied) == ([], ["        self.lm_head.weight = self.wte.weight"])
    assert transformed(untie_head, tied) == SCRIPTS["dataclass"]


def test_tie_head_drops_the_parameter_group_of_the_head_and_its_learning_rate() -> None:
    gone, new = changed_lines(SCRIPTS["autoresearch"], transformed(tie_head, SCRIPTS["autoresearch"]))
    assert gone == ["HEAD_LR = 4e-3", "        dict(params=list(model.lm_head.parameters()), lr=HEAD_LR),"]
    assert new == ["        self.lm_head.weight = self.wte.weight"]


GROUP = "dict(params=list(model.lm_head.parameters()), lr=HEAD_LR)"


def test_tie_head_knows_a_group_in_braces() -> None:
    before = SCRIPTS["autoresearch"]
    written = before.replace(GROUP, '{"lr": HEAD_LR, "params": model.lm_head.parameters()}')
    assert transformed(tie_head, written) == transformed(tie_head, before)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (GROUP, "dict(params=[*model.wte.parameters(), *model.lm_head.parameters()])"),
        (f"{GROUP},", f"{GROUP}, dict(params=[p for p in model.lm_head.parameters()]),"),
    ],
)
def test_tie_head_refuses_where_the_head_is_stepped_with_others(old: str, new: str) -> None:
    assert old in SCRIPTS["autoresearch"]
    assert "not as one group" in refusal(tie_head, SCRIPTS["autoresearch"].replace(old, new))


def test_hashed_bigram_changes_the_class_of_the_token_embedding() -> None:
    before = SCRIPTS["autoresearch"]
    gone, new = changed_lines(before, transformed(hashed_bigram, before))
    assert gone == ["        self.wte = nn.Embedding(vocab_size, DIM)"]
    assert new[0] == "BIGRAM_BUCKETS = 8192  # knob: 1024..262144 log"
    assert new[-2:] == [
        "        self.wte = BigramEmbedding(vocab_size, DIM)",
        "        nn.init.zeros_(self.wte.pairs.weight)",
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_hashed_tables_start_at_zero_whatever_the_script_does_to_embeddings(script: str) -> None:
    source = transformed(hashed_trigram, transformed(hashed_bigram, SCRIPTS[script]))
    with mock.patch.object(harness, "BATCHES", 0):
        model = run(source).model
    assert model is not None
    weights = {name.rpartition(".")[0].rpartition(".")[2]: weight for name, weight in model.named_parameters()}
    assert not weights["pairs"].any() and not weights["triples"].any()
    assert weights["tok_emb" if script == "plain" else "wte"].any()


def test_hashed_embeddings_see_their_own_past_tokens_only() -> None:
    for transformation, reach in ((hashed_bigram, 1), (hashed_trigram, 2), (token_smear, 1)):
        report = run(transformed(transformation, SCRIPTS["autoresearch"]))
        assert report.model is not None
        embedding = report.model.wte
        for parameter in embedding.parameters():  # type: ignore[union-attr]
            torch.nn.init.normal_(parameter)
        tokens = torch.arange(LENGTH).reshape(1, LENGTH)
        other = tokens.clone()
        other[0, 10] = VOCABULARY - 1
        with torch.no_grad():
            changed = (embedding(tokens) != embedding(other)).any(dim=-1)[0]  # type: ignore[operator]
        assert changed.nonzero().flatten().tolist() == list(range(10, 11 + reach))


def test_embedding_classes_stack() -> None:
    source = transformed(token_smear, transformed(hashed_bigram, SCRIPTS["plain"]))
    assert "class SmearEmbedding(BigramEmbedding):" in source
    assert_trains(source)


def test_value_embedding_reaches_attention_through_the_block() -> None:
    _, new = changed_lines(SCRIPTS["plain"], transformed(value_embedding, SCRIPTS["plain"]))
    assert [line.strip() for line in new] == [
        "self.value_weight = nn.Parameter(torch.tensor(0.5))",
        "def forward(self, x, value_embedding):",
        "v = v + self.value_weight * value_embedding.unflatten(-1, (-1, v.size(-1))).transpose(1, 2)",
        "def forward(self, x, value_embedding):",
        "x = x + self.attn(self.norm1(x), value_embedding)",
        "self.value_embedding = nn.Embedding(vocab_size, DIM)",
        "value_embedding = self.value_embedding(idx)",
        "x = block(x, value_embedding)",
    ]


def test_softcap_bounds_the_logits() -> None:
    source = transformed(softcap, SCRIPTS["plain"])
    report = run(source.replace("SOFTCAP = 15.0", "SOFTCAP = 0.001"))
    assert report.logits is not None
    assert report.logits.abs().max() <= 0.001
