"""The task with a known optimum: its optimum by other ways, its failures and noise, and a real search on it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.comparison.virtual import VirtualExecutor, at_once
from benchmarks.tasks import synthetic
from benchmarks.tasks.synthetic import BLOCKS, DEPTHS, SEED, WIDTHS, Point, genome, judge, optimum, point_of
from evolve.arms import Arm
from evolve.config import Limits
from evolve.evaluation import Plan
from evolve.history import History
from evolve.log import Log
from evolve.loop import Loop
from evolve.model import Briefing, Candidate, Mating, Params, Proposal, Trial
from evolve.search import ParetoSearch
from evolve.store import Store
from operators.crossover import Merge
from operators.retune import Retune


def drawn(blocks: frozenset[str], rng: Random) -> Params:
    """Numbers drawn over the whole ranges of a program's knobs."""
    values: dict[str, Any] = {}
    for knob in genome(blocks).knobs:
        at = rng.random()
        if knob.kind == "choice":
            values[knob.address] = rng.choice(knob.values)
        elif knob.kind == "int":
            values[knob.address] = rng.randint(int(knob.low), int(knob.high))
        else:
            low, high = (math.log(knob.low), math.log(knob.high)) if knob.log else (knob.low, knob.high)
            values[knob.address] = math.exp(low + at * (high - low)) if knob.log else low + at * (high - low)
    return values


def trial(blocks: frozenset[str] = frozenset(), rung: float = 1.0, seed: int = 0, **params: float) -> Trial:
    return Trial(genome(blocks), params, 16.0 * rung, rung, "virtual", seed, "rung")


def test_every_program_is_read_back_as_its_blocks() -> None:
    rng = Random(0)
    for _ in range(20):
        blocks = frozenset(rng.sample(list(BLOCKS), rng.randint(0, len(BLOCKS))))
        assert synthetic.blocks_of(genome(blocks).source) == blocks
        assert {k.address for k in genome(blocks).knobs} == {
            *("LEARNING_RATE", "WIDTH", "DEPTH", "DECAY", "BETA"),
            *(["WARMUP"] if "warmup" in blocks else []),
        }


def test_nothing_drawn_at_random_nor_near_the_optimum_is_better() -> None:
    rng, best = Random(0), optimum()
    for _ in range(3000):
        blocks = frozenset(name for name in BLOCKS if rng.random() < 0.7)
        assert synthetic.regret(genome(blocks), drawn(blocks, rng)) > 0
    for _ in range(1000):
        moved = {
            name: value if name in ("WIDTH", "DEPTH") else value * math.exp(rng.gauss(0, 0.01))
            for name, value in best.numbers.items()
        }
        moved["BETA"] = min(0.99, moved["BETA"])
        assert Point(best.blocks, moved).loss() >= best.loss()


@pytest.mark.parametrize("blocks", [frozenset[str](), optimum().blocks], ids=["none", "best"])
def test_a_grid_over_all_numbers_comes_to_the_enumerated_optimum_of_a_structure(blocks: frozenset[str]) -> None:
    enumerated = min(
        (synthetic.best_numbers(blocks, w, d) for w, d in product(WIDTHS, DEPTHS)),
        key=lambda p: math.inf if p.failure() else p.loss(),
    )
    rates, decays, betas = np.logspace(-5, 0, 21), np.logspace(-4, 0, 5), 1 - np.logspace(-2, math.log10(0.5), 9)
    grid = (
        Point(blocks, {"LEARNING_RATE": a, "DECAY": b, "BETA": c, "WIDTH": w, "DEPTH": d, "WARMUP": 0.1})
        for a, b, c, w, d in product(rates, decays, betas, WIDTHS, DEPTHS)
    )
    found = min((p for p in grid if not p.failure()), key=Point.loss)
    assert 0 <= found.loss() - enumerated.loss() < 0.01
    assert [found.numbers[n] for n in ("WIDTH", "DEPTH")] == [enumerated.numbers[n] for n in ("WIDTH", "DEPTH")]


def test_regret_is_zero_at_the_optimum_and_infinite_where_a_program_fails() -> None:
    best = optimum()
    assert synthetic.regret(genome(best.blocks), best.numbers) == 0.0
    assert synthetic.regret(SEED, {}) == pytest.approx(point_of(SEED, {}).loss() - best.loss())
    assert synthetic.regret(SEED, {"WIDTH": 512, "DEPTH": 8}) == math.inf


def test_structure_and_numbers_have_to_be_found_together() -> None:
    """Numbers alone, and structure alone, reach at most two thirds of what there is to gain."""
    seed, best = point_of(SEED, {}).loss(), optimum().loss()
    numbers = min(synthetic.best_numbers(frozenset(), w, d).loss() for w, d in product(WIDTHS, (1, 2, 3)))
    structure = min(point_of(genome(frozenset(BLOCKS) - {b}), {}).loss() for b in BLOCKS)
    assert (seed - numbers) / (seed - best) < 2 / 3 and (seed - structure) / (seed - best) < 2 / 3


def test_a_dead_end_pays_where_its_partners_are() -> None:
    def loss(*blocks: str) -> float:
        return synthetic.best_numbers(frozenset(blocks), 64, 2).loss()

    assert loss("gate") > loss() and loss("norm", "gate") > loss("norm")
    assert loss("norm", "residual", "gate") < loss("norm", "residual") - 0.05
    assert loss("norm", "residual", "dropout") > loss("norm", "residual")


def test_low_rungs_rank_programs_differently_and_share_half_of_their_noise() -> None:
    rng = Random(1)
    points = [synthetic.best_numbers(frozenset(rng.sample(list(BLOCKS), 5)), w, d) for w in WIDTHS[:4] for d in DEPTHS]
    rank = spearmanr([p.loss(0.25) for p in points], [p.loss() for p in points]).statistic
    assert 0.3 < rank < 0.95
    low, full = ([judge(trial(rung=r, seed=s)).metrics["loss"] for s in range(400)] for r in (0.25, 1.0))
    assert np.corrcoef(low, full)[0, 1] == pytest.approx(0.5, abs=0.12)
    assert np.std(full) == pytest.approx(0.01, rel=0.1) and np.std(low) > 1.2 * np.std(full)
    assert np.mean(full) == pytest.approx(point_of(SEED, {}).loss(), abs=0.002)


def test_a_trial_depends_on_nothing_but_itself() -> None:
    assert judge(trial(seed=3)) == judge(trial(seed=3)) != judge(trial(seed=4))


def test_failures_are_charged_a_part() -> None:
    outcomes = [judge(trial(WIDTH=512, DEPTH=8)), judge(trial(LEARNING_RATE=1.0)), judge(trial())]
    assert [o.status for o in outcomes] == ["oom", "crashed", "ok"]
    assert [o.seconds / 16 for o in outcomes] == pytest.approx([0.05, 0.3, 1.02])
    assert judge(trial(frozenset({"norm", "clip", "warmup"}), LEARNING_RATE=1.0)).status == "ok"
    broken = replace(trial(), genome=replace(SEED, source=SEED.source.replace("    x = embed(x)\n", "")))
    assert judge(broken).status == "crashed" and "embed" in judge(broken).reason


def test_the_front_is_where_no_point_is_better_in_both() -> None:
    front = synthetic.optimal_front()
    losses, seconds = zip(*front, strict=True)
    assert len(front) > 3 and list(losses) == sorted(losses) and list(seconds) == sorted(seconds, reverse=True)
    assert losses[0] == optimum().loss() and all(1.0 < s < 16.0 for s in seconds)
    target = point_of(SEED, {}).loss()
    assert optimum().loss(seconds[0] / 16) == pytest.approx(target)


def test_the_real_merge_joins_the_blocks_of_two_parents() -> None:
    def told(blocks: frozenset[str]) -> Candidate:
        return Candidate(str(len(blocks)), len(blocks), genome(blocks), {"LEARNING_RATE": 0.1}, (), "catalogue", "ok")

    base, left, right = told(frozenset()), told(frozenset({"norm"})), told(frozenset({"momentum", "warmup"}))
    child = Merge(synthetic.READER).propose(Mating(3, "merge", (left, right), base, 0), Briefing())
    assert isinstance(child, Proposal)
    assert synthetic.blocks_of(child.genome.source) == {"norm", "momentum", "warmup"}
    assert (
        child.anchor["LEARNING_RATE"] == 0.1
        and child.genome.key == genome(frozenset({"norm", "momentum", "warmup"})).key
    )


def test_a_search_with_the_real_operators_finds_most_of_what_there_is(tmp_path: Path) -> None:
    arms = {"catalogue": Arm(1, 0.6), "merge": Arm(2, 0.2), "tune": Arm(1, 0.2)}
    operators = {"catalogue": synthetic.Toggle(), "merge": Merge(synthetic.READER), "tune": Retune(synthetic.READER)}
    history, store = History(ParetoSearch(synthetic.OBJECTIVES, 8, arms, 0)), Store.open(tmp_path, durable=False)
    header = {
        "settings": {"seed": 0, "offspring": 8, "population": 8, "budget": 16.0, "operators": {}, "corpus": ""},
        "rungs": list(synthetic.RUNGS),
        "objectives": [{"name": o.name, "direction": o.direction} for o in synthetic.OBJECTIVES],
    }
    history.apply(store.append("run", "run", header))
    executor = VirtualExecutor(judge, slots=4)
    plan = Plan(synthetic.OBJECTIVES, synthetic.SCALE, 16.0, synthetic.RUNGS, 4, 0.3)
    limits = Limits(0, total=3000.0)
    Loop(Log(store, history), executor, operators, plan, limits, executor.watch, making=at_once).run(SEED)
    store.close()
    best = history.front[0]
    assert synthetic.regret(best.genome, best.params) < 0.75 * synthetic.regret(SEED, {})
