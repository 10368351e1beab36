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
from evolve.incoming import Brought, leave_program
from evolve.model import Briefing, Candidate, Effect, Genome, Mating, Outcome, Proposal, Trial
from evolve.reports.journal import Journal
from evolve.reports.open import open_history
from evolve.reports.show import judged, print_candidate
from evolve.reports.source import patch
from tests.evolve import toy
from tests.evolve.individuals import individual
from tests.evolve.runs import run


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    def trial(asked: Trial) -> Outcome:
        return replace(toy.run_trial(asked), log_tail="\n".join(f"line {i}" for i in range(20)) + "\x1b[2J")

    return run(tmp_path_factory.mktemp("show"), 4, trial)[1].history


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
    pruned = next(c for c in history.candidates.values() if c.verdict == "pruned" and "better half" in c.reason)
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


class Brings(toy.Person):
    """The parent's structure with the number that the text ends with."""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal:
        source, hypothesis = self._brought(mating.index)
        parent = mating.parents[0]
        return Proposal(parent.genome, (), hypothesis, {"lr": float(source.split()[-1])})


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A run to which a person brought the seed with a number that is worse, and with one that does not even run."""

    def trial(asked: Trial) -> Outcome:
        crashes = asked.params["lr"] == 0.03125 and asked.purpose == "tune"
        return Outcome("crashed", {}, "", 0.1, "toy", "diverged") if crashes else toy.run_trial(asked)

    directory = tmp_path_factory.mktemp("visited")
    executor = InlineExecutor(trial)
    loop = toy.make_loop(directory, 3, executor)
    loop._operators = {**loop._operators, "person": Brings(loop.history.incoming.program)}
    for number in (0.0625, 0.03125):
        leave_program(directory, Brought(f"lr = {number}", "0", f"{number} is better"))
    loop.run(toy.SEED)
    executor.close()
    loop.store.close()
    return open_history(directory)


@pytest.mark.parametrize(("number", "crashed"), [(0.0625, False), (0.03125, True)])
def test_numbers_that_a_person_brought_are_named_with_their_loss(
    visited: History, number: float, crashed: bool
) -> None:
    child = next(c for c in visited.candidates.values() if c.hypothesis == f"{number} is better")
    study = visited.study(f"ask/{child.index}").trials
    (as_brought,) = [loss for params, loss in study if params == {"lr": number}]
    assert (as_brought is None) is crashed and child.params != {"lr": number}, "it was tuned on from there"
    best = min(loss for _, loss in study if loss is not None)
    known = min(loss for _, loss in visited.study_of_lineage(visited.candidates["0"]).trials if loss is not None)
    gave = "failed" if crashed else f"gave loss {as_brought:.4f}"
    said = (
        f"numbers: at 0.25 of the budget as they were brought they {gave}, the best of {len(study)} tried gave "
        f"{best:.4f}, the best known of this structure {known:.4f}"
    )
    text = printed(visited, child, 200)
    assert f"\n{said}\n" in text and "not measured" not in text
    (knob,) = [line.split() for line in text.splitlines() if line.startswith("lr ")]
    assert knob[1:3] == [f"{child.params['lr']:g}", f"{number:g}"]
    assert any(line.split()[:3] == ["knob", child.id, "brought"] for line in text.splitlines())


def test_nobody_who_was_trained_is_called_not_measured(visited: History, tmp_path: Path) -> None:
    trained = [c for c in visited.candidates.values() if c.index and visited.study(f"ask/{c.index}").trials]
    without = [c for c in trained if c.verdict == "pruned" and c.effect is None]
    assert without
    Journal(tmp_path)(visited)
    lines = (tmp_path / "journal.md").read_text().splitlines()
    for child in trained:
        (line,) = [line for line in lines if line.startswith(f"- {child.id} ")]
        assert "not measured" not in line and "not measured" not in judged(child)
    for child in without:
        (line,) = [line for line in lines if line.startswith(f"- {child.id} ")]
        losses = [loss for _, loss in visited.study(f"ask/{child.index}").trials if loss is not None]
        assert f"the best of {len(visited.study(f'ask/{child.index}').trials)} tried gave {min(losses):.4f}" in line


@pytest.mark.parametrize("width", [34, 60, 80, 120])
def test_a_number_of_a_candidate_is_whole_where_there_is_little_room(history: History, width: int) -> None:
    child = next(c for c in history.front if c.parents and c.parents != ("0",))
    child = replace(
        child, metrics={"tokens_per_second": 37_993_036.0, "a_metric_with_a_name_that_is_long_indeed": 1_234_567.0}
    )
    text = printed(history, child, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert {"37,993,036", "1,234,567"} <= {*text.split()}
