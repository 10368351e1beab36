"""One candidate in full: did its prediction come true, what differs from its parent, what does a patch make of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.model import Candidate, Effect, Genome, Outcome, Trial
from evolve.reports.show import judged, print_candidate
from evolve.reports.source import patch
from tests.evolve import toy
from tests.evolve.individuals import individual


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    def trial(asked: Trial) -> Outcome:
        return replace(toy.run_trial(asked), log_tail="\n".join(f"line {i}" for i in range(20)) + "\x1b[2J")

    executor = InlineExecutor(trial)
    loop = toy.make_loop(tmp_path_factory.mktemp("show"), 4, executor)
    loop.run(toy.SEED)
    executor.close()
    loop.store.close()
    return loop.history


def printed(history: History, candidate: Candidate, width: int = 100) -> str:
    out = StringIO()
    print_candidate(Console(file=out, width=width), history, candidate)
    return out.getvalue()


@pytest.mark.parametrize(
    ("expected", "effect", "said"),
    [
        (-0.1, Effect(-0.11, 1.0, 0.02), "as predicted, within two standard errors"),
        (-0.1, Effect(-0.2, 1.0, 0.02), "it came, stronger than predicted"),
        (-0.3, Effect(-0.2, 1.0, 0.02), "it came, weaker than predicted"),
        (-0.1, Effect(0.2, 1.0, 0.02), "the opposite came"),
        (-0.1, Effect(0.01, 1.0, 0.02), "the predicted effect did not come"),
        (-0.1, Effect(-0.1, 1.0), "its error is not known"),
        (-0.1, None, "the prediction was not tested"),
    ],
)
def test_the_verdict_on_a_prediction(expected: float, effect: Effect | None, said: str) -> None:
    child = replace(individual(1, 1.0, 1.0, parents=(0,)), expected=expected, effect=effect)
    assert judged(child).startswith(f"predicted {expected:+.3f}, ") and said in judged(child)
    assert said not in judged(replace(child, expected=None)) and "predicted" not in judged(
        replace(child, expected=None)
    )
    assert "not tested" in judged(replace(child, quarantined="causality"))
    assert judged(replace(child, index=0)) == ""


def test_numbers_stand_beside_those_of_the_parent_and_the_seed(history: History) -> None:
    child = next(c for c in history.front if c.parents and c.parents != ("0",))
    text = printed(history, child)
    ancestor = history.measured_ancestor(child)
    assert ancestor and "stands: on the front; confirmed with three seeds; beats the seed by " in text
    heads = [line.split() for line in text.splitlines() if line.startswith("number")]
    assert heads == [["number", child.id, ancestor.id, "0", "seed"]]
    (row,) = [line for line in text.splitlines() if line.startswith("loss ")]
    for one in (child, ancestor, history.seed):
        assert one and one.fitness and f"{one.fitness.values['loss'].mean:.4f}±" in row


def test_trials_on_the_way_up_are_all_there_with_what_followed(history: History) -> None:
    pruned = next(c for c in history.candidates.values() if c.verdict == "pruned" and "half" in c.reason)
    text = printed(history, pruned)
    table = text.partition("went on")[2].partition("\n\n")[0]
    rows = [line.split() for line in table.splitlines()[2:] if line.split()]
    trials = [t for (owner, _), t in history.trials.items() if owner == f"ask/{pruned.index}" and t.purpose != "smoke"]
    assert sum(int(row[2]) for row in rows) == len(trials) and rows[-1][-1] == "no"
    losses = {f"{o.metrics['loss']:.4f}" for (w, n), o in history.outcomes.items() if w == f"ask/{pruned.index}" and n}
    assert losses <= set(table.split())


def test_the_log_is_its_end_and_does_no_harm(history: History) -> None:
    text = printed(history, history.candidates["0"])
    assert "line 11\n" not in text and "line 12\n" in text and "line 19" in text and "\x1b" not in text


def test_every_candidate_fits_into_80_columns(history: History) -> None:
    for candidate in history.candidates.values():
        assert all(len(line) <= 80 for line in printed(history, candidate, 80).splitlines())


class Plain:
    """Programs as they are."""

    def bind(self, genome: Genome, params: Mapping[str, float]) -> str:
        return genome.source


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch on this machine")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\nd\n"),
        ("a\nb", "a\nc"),  # no line feed at the end
        ("a\nb", "a\nb\n"),
        ("a\nb\n", "a\nb"),
        ("a\x0cb\nc\u2028d\re\n", "a\x0cb\nc\u2028d\rf\n"),  # lines end at a line feed and nowhere else
        ("", "a\n"),
    ],
)
def test_patch_takes_the_plain_diff(tmp_path: Path, before: str, after: str) -> None:
    old, new = (replace(individual(i, 1.0, 1.0), genome=Genome(text)) for i, text in enumerate((before, after)))
    (tmp_path / "train.py").write_bytes(before.encode())
    diff = patch(Plain(), old, new)
    subprocess.run(["patch", "-s", "-p1"], input=diff.encode(), cwd=tmp_path, check=True)
    assert (tmp_path / "train.py").read_bytes() == after.encode()
    assert patch(Plain(), old, old) == ""


def test_losses_that_a_program_printed_are_shown_as_its_own(history: History) -> None:
    seed = history.seed
    assert seed is not None and "as it printed it" not in printed(history, seed)
    last = [place for place in history.outcomes if place[0] == "ask/0"][-1]
    kept = history.outcomes[last]
    history.outcomes[last] = replace(kept, log_tail="step 0 loss 5.4\nstep 25 loss 3.25 [bold]\n")
    try:
        assert "training loss as it printed it, from start to end: 5.400 3.250" in printed(history, seed)
    finally:
        history.outcomes[last] = kept
