"""What the three-way merge is worth: pairs of individuals of a real run, merged, smoke-tested, trained at the low rung.

    python -m benchmarks.merges RUN_DIR [--pairs 200] [-o FILE] [--target DIR]

A pair counts as better than both parents if its loss at the low rung, with inherited numbers and the seed that all
tuning trials share, is below the best loss that each parent had there. One trial each: noise is not averaged out.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random

from evolve import plugins
from evolve.assemble import executor_of
from evolve.commands.options import target_option
from evolve.config import ConfigError, Target, load_target
from evolve.evaluation import tune_seed
from evolve.executors.local import JudgeError
from evolve.history import History
from evolve.model import Briefing, Candidate, Mating, Outcome, Proposal, Trial
from evolve.reports.open import open_history
from evolve.store import StoreError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("-o", "--output", type=Path)
    target_option(parser)
    options = parser.parse_args()
    try:
        history = open_history(options.run_dir)
        text = report(history, load_target(plugins.target_of(history.header, options.target)), options.pairs)
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"merges: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


def report(history: History, target: Target, wanted: int) -> str:
    """Counts as a Markdown table. Raises `ConfigError` if the run has no two individuals to merge."""
    pairs = sorted_pairs(history, wanted)
    if not pairs:
        raise ConfigError("no two individuals of this run differ in structure and reached the low rung")
    reader = plugins.load(plugins.READER)(target.rules_at(history.header["settings"]["scale"]))
    operator = plugins.load("operators.crossover:Merge")(reader)
    counts: Counter[str] = Counter(pairs=len(pairs))
    children: list[tuple[Proposal, float]] = []
    for number, (left, right, base) in enumerate(pairs):
        made = operator.propose(Mating(number, "merge", (left, right), base, number), Briefing())
        if not isinstance(made, Proposal):
            counts["equal to a parent" if "equals" in made.reason else "refused"] += 1
            continue
        counts["with conflicts" if "conflict" in made.hypothesis else "clean"] += 1
        children.append((made, min(low_loss(history, left), low_loss(history, right))))
    counts.update(train(history, target, children))
    order = ("pairs", "clean", "with conflicts", "equal to a parent", "refused")
    order += ("smoke passed", "trained at the low rung", "better than both parents")
    return "\n".join(["| merges | n |", "|---|--:|", *(f"| {name} | {counts[name]} |" for name in order), ""])


def sorted_pairs(history: History, wanted: int) -> list[tuple[Candidate, Candidate, Candidate]]:
    """A fixed random sample of pairs with their common ancestor."""
    pool = [c for c in history.candidates.values() if c.rung > 0 and low_loss(history, c) < float("inf")]
    pairs = [p for p in combinations(pool, 2) if p[0].genome.skeleton != p[1].genome.skeleton]
    Random(0).shuffle(pairs)
    found = []
    for left, right in pairs:
        base = history.search.common_ancestor(left, right)
        if base and base.genome.skeleton not in (left.genome.skeleton, right.genome.skeleton):
            found.append((left, right, base))
        if len(found) == wanted:
            break
    return found


def low_loss(history: History, candidate: Candidate) -> float:
    return history.rung_losses(candidate).get(f"{history.all_rungs[0]:g}", float("inf"))


def train(history: History, target: Target, children: list[tuple[Proposal, float]]) -> Counter[str]:
    """Smoke and one trial at the low rung for each child, on all slots."""
    settings, low = history.header["settings"], history.all_rungs[0]
    executor = executor_of(history, target, sys.stderr)

    def run(purpose: str, budget: float, made: list[Proposal]) -> list[Outcome]:
        trials = [
            Trial(p.genome, p.anchor, budget, low, settings["scale"], tune_seed(low), purpose)  # type: ignore[arg-type]
            for p in made
        ]
        return [future.result() for future in [executor.submit(t) for t in trials]]

    counts: Counter[str] = Counter()
    try:
        smoke = run("smoke", 0.3, [p for p, _ in children])
        passed = [child for child, outcome in zip(children, smoke, strict=True) if outcome.status == "ok"]
        counts["smoke passed"] = len(passed)
        for (_, parents), outcome in zip(
            passed, run("tune", settings["budget"] * low, [p for p, _ in passed]), strict=True
        ):
            if outcome.status == "ok":
                counts["trained at the low rung"] += 1
                counts["better than both parents"] += outcome.metrics[history.loss] < parents
    finally:
        executor.close()
    return counts


if __name__ == "__main__":
    sys.exit(main())
