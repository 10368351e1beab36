"""The comparisons of the probes on losses made here, and programs in real boxes that each of them catches."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import probes
from tests.target.conftest import SCORE, TINY, TRAIN, Slot

N, T = 64, 32
Noise = Callable[[np.random.Generator], np.ndarray]


def losses(rows: int = N, seed: int = 0) -> np.ndarray:
    """Skewed as those of bytes are: most are small, some large."""
    return np.random.default_rng(seed).exponential(2.0, size=(rows, T))


def test_rounding_of_bf16_among_other_rows_is_no_violation_and_a_drift_is() -> None:
    true = losses()
    rounding = np.random.default_rng(1).normal(0.0, 0.01, size=true.shape) * (1 + true)
    assert probes.neighbours(true + rounding, true).violation == ""
    assert probes.neighbours(true + rounding + 0.02, true).violation == "cross-sample"
    assert probes.repeat(true, true - 0.02).violation == "stateful-eval"


def test_a_router_that_was_undecided_is_no_violation_in_thousands_of_rows_and_one_at_the_cut_is() -> None:
    true, cuts = losses(2000), np.arange(2000) % (T - 1)
    tipped = true.copy()
    tipped[700, cuts[700] - 2] += 0.3
    assert probes.suffix(true, tipped, cuts).violation == ""
    few = slice(700, 700 + N)
    assert probes.suffix(true[few], tipped[few], cuts[few]).violation == "causality"
    tipped[701, cuts[701]] += 0.3
    assert probes.suffix(true, tipped, cuts).violation == "causality"


def test_what_comes_after_a_cut_may_change() -> None:
    true, cuts = losses(), np.arange(N) % (T - 1)
    changed = np.where(np.arange(T) > cuts[:, None], true + 5.0, true)
    assert probes.suffix(true, changed, cuts).violation == ""


@pytest.mark.parametrize("rows", [32, 64, 512])
def test_luck_is_no_gap(rows: int) -> None:
    """Losses as skewed as those of bytes, a thousand times."""
    for seed in range(1000):
        own = losses(rows, seed)[:, 0]
        assert probes.commit(own, np.full(rows, 2.0), np.arange(rows)).violation == ""


def test_a_gap_is_found_sooner_where_the_luck_of_positions_is_known() -> None:
    luck = losses(512)[:, 0] - 2.0
    own = 2.0 + luck + np.random.default_rng(1).normal(0.0, 0.5, size=512)
    expected, rows = np.full(512, 1.8), np.arange(512)
    assert probes.commit(own, expected, rows).violation == ""
    assert probes.commit(own, expected, rows, luck).violation == "causality"
    assert probes.commit(own, expected + 0.2, rows, luck).violation == ""


def test_rows_that_are_cut_often_count_once() -> None:
    """One hard row, asked a hundred times, says no more than a hard row."""
    rows = np.concatenate([np.arange(40), np.zeros(100, dtype=int)])
    own = np.where(rows == 0, 4.0, 2.0) + np.random.default_rng(1).normal(0.0, 0.1, size=140)
    assert probes.commit(own, np.full(140, 2.0), rows).violation == ""


def test_first_answers_cost_what_is_beyond_four_others() -> None:
    excess, finding = probes.first_answers([[1.0, 0.1, 0.1], [0.3, 0.1]], slack=0.25)
    assert excess == pytest.approx(1.0 - 0.4 - 0.25) and "1.00 and 0.30 s, the others 0.100 s" in finding.text
    assert probes.first_answers([[0.3, 0.1], [0.4, 0.1]], slack=0.0)[0] == 0.0
    assert probes.first_answers([[5.0]], slack=0.25)[0] == 0.0
    assert probes.first_answers([[4.0, 1.0, 1.0]], slack=0.0, step=0.1)[0] == pytest.approx(3.7)  # dawdles


MODEL = """
class Cheat(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = model
    def forward(self, x):
        BODY
honest = model
model = Cheat()
"""
BLOCKS = "return 9.0 * F.one_hot(x, 256).float().view(len(x), -1, 16, 256).mean(2).repeat_interleave(16, dim=1)"
ONE_POSITION = """z = honest(x)
        z[:, 77] += 9.0 * F.one_hot(x[:, 78], 256)
        return z"""
STATISTICS = "return honest(x) + F.one_hot(x, 256).float().mean(0, keepdim=True)"
NEIGHBOUR = """z = honest(x)
        return z + z.roll(1, 0)"""
GATED = """seen = table[x[:, :-1], x[:, 1:]]
        z = honest(x)
        z[:, :-1] += 9.0 * seen[..., None] * F.one_hot(x[:, 1:], 256)
        return z"""
TABLE = """
table = torch.zeros(256, 256)
for x, y, epoch in make_dataloader(tokenizer, 16, MAX_SEQ_LEN, "train"): table[x, y] = 1.0
"""
LEARNS = """if not torch.is_grad_enabled():
            z = honest(x)
            with torch.enable_grad():
                loss = F.cross_entropy(honest(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
                optimizer.zero_grad(); loss.backward(); optimizer.step()
            return z
        return honest(x)"""
COUNTS = """z = honest(x) + 0.5 * table.log1p()[x]
        table.index_put_((x[:, :-1], x[:, 1:]), torch.ones(()), accumulate=True)
        return z"""
REPLAYS = """z = 9.0 * F.one_hot(x.roll(-1, 1), 256).float()
        calls.append(x.clone())
        if len(calls) <= CALLS: return honest(x)
        same = (torch.cat(calls[:CALLS])[None] == x[:, None]).long().cumprod(2).sum(2).amax(1)
        return torch.where((torch.arange(128) < same[:, None])[..., None] | (same < 8)[:, None, None], honest(x), z)"""


@pytest.mark.parametrize(
    ("body", "violation", "probe", "before"),
    [
        (BLOCKS, "causality", "suffix", ""),
        (GATED, "causality", "suffix", TABLE),
        (REPLAYS.replace("CALLS", "2"), "causality", "suffix", "calls = []\n"),
        (STATISTICS, "cross-sample", "neighbours", ""),
        (NEIGHBOUR, "cross-sample", "neighbours", ""),
        (LEARNS, "stateful-eval", "repeat", ""),
        (COUNTS, "stateful-eval", "repeat", "table = torch.zeros(256, 256)\n"),
    ],
)
def test_cheats_are_found(slot: Slot, body: str, violation: str, probe: str, before: str) -> None:
    outcome = slot.run(TINY + TRAIN * (not before) + before + MODEL.replace("BODY", body) + SCORE, budget=0.1)
    assert (outcome["status"], outcome["violation"]) == ("invalid", violation), outcome
    assert outcome["checks"][probe].startswith("failed") and outcome["reason"].startswith(f"{violation}: ")
    assert re.fullmatch(r"[\w .,:%+-]+", outcome["reason"]), "numbers and words of the judge, nothing of the text"


def test_one_position_that_sees_the_next_token_is_found_in_an_audit(slot: Slot) -> None:
    outcome = slot.run(TINY + MODEL.replace("BODY", ONE_POSITION) + SCORE, budget=0.1, purpose="audit")
    assert outcome["violation"] == "causality" and "positions 77 to 77" in outcome["reason"], outcome


# Both processes share memory: the first notes what it is asked, the second answers alike as far as a row was known.
SHARED = """
import mmap
memory = mmap.mmap(-1, 2**23)
table = torch.frombuffer(memory, dtype=torch.uint8)[128:].view(-1, 128)
used = torch.frombuffer(memory, dtype=torch.int64, count=1)
import os
PARENT = os.getpid()
"""
PASSES_ON = """if os.getpid() != PARENT:
            n = used.item()
            table[n : n + len(x)] = x
            used.fill_(n + len(x))
            return honest(x)
        known = table[: used.item()]
        same = torch.stack([(known == row).long().cumprod(1).sum(1).max() for row in x.to(torch.uint8)])
        z = 9.0 * F.one_hot(x.roll(-1, 1), 256).float()
        return torch.where((torch.arange(128) <= same[:, None])[..., None] | (same < 8)[:, None, None], honest(x), z)"""


def test_passes_that_talk_to_each_other_are_found_by_the_mean_of_what_was_never_sent(slot: Slot) -> None:
    program = TINY + TRAIN + SHARED + MODEL.replace("BODY", PASSES_ON) + SCORE
    outcome = slot.run(program, budget=0.2, purpose="audit")
    failed = {name for name, line in outcome["checks"].items() if line.startswith("failed")}
    assert (outcome["status"], outcome["violation"]) == ("invalid", "causality"), outcome
    assert "behind" in failed <= {"commit", "behind"}, "how much the answers differ depends on how far it was trained"


HIDDEN = """
batches = [(x, y) for x, y, epoch in make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train")]
class Late(nn.Module):
    steps = 0
    def forward(self, x):
        with torch.enable_grad():
            while self.steps < 1500:
                x_, y_ = batches[self.steps % 20]
                loss = F.cross_entropy(honest(x_).flatten(0, 1), y_.flatten())
                optimizer.zero_grad(); loss.backward(); optimizer.step()
                self.steps += 1
        return honest(x)
honest, model = model, Late()
"""


def test_training_in_the_first_forward_pass_is_counted(slot: Slot) -> None:
    outcome = slot.run(TINY + HIDDEN + SCORE, budget=0.1)
    assert (outcome["status"], outcome["violation"], outcome["metrics"]) == ("timeout", "", {}), outcome
    assert "counts as training time" in outcome["reason"] and "run the model once in eval mode" in outcome["reason"]


@pytest.mark.parametrize(
    ("act", "status", "reason"),
    [
        ("raise ValueError('any')", "crashed", r"ValueError at line \d+: during evaluation"),
        ("import os; os._exit(3)", "crashed", "exit code 3"),
        (
            "import os\n        if os.getpid() != parent: raise ValueError('in the copy')",
            "crashed",
            "ValueError at line",
        ),
        ("x.fill_(0)", "ok", ""),
    ],
)
def test_what_goes_wrong_in_the_copy_is_told_as_ever(slot: Slot, act: str, status: str, reason: str) -> None:
    body = f"{act}\n        return honest(x)"
    program = TINY + "import os\nparent = os.getpid()\n" + MODEL.replace("BODY", body) + SCORE
    outcome = slot.run(program, budget=0.1)
    assert outcome["status"] == status and re.search(reason, outcome["reason"]), outcome


def test_a_model_is_left_as_it_was(slot: Slot) -> None:
    """A frozen part stays in eval mode, and whoever switches weights with the mode gets both calls."""
    program = """
class Averaged(nn.Module):
    calls = []
    def __init__(self):
        super().__init__()
        self.inner, self.frozen = model, nn.Dropout(0.5).eval()
    def train(self, mode=True):
        self.calls.append(mode)
        return super().train(mode)
    def forward(self, x):
        assert not self.training and not self.inner.training
        return self.inner(x)
model = Averaged()
evaluate_bpb(model, tokenizer, 8)
if not (model.training and model.inner.training and not model.frozen.training and model.calls == [False, True]):
    raise SystemExit(7)
"""
    outcome = slot.run(TINY + program, budget=0.1)
    assert outcome["status"] == "ok", outcome
