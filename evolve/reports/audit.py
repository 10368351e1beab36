"""The audit of one training script: trained with fresh seeds, probed most, scored on texts that no search opens.

What the target's rules say of the text of the script are remarks: a script from elsewhere may have other rules. What
decides is what the judge measured.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evolve import plugins
from evolve.assemble import read_seed
from evolve.config import ConfigError, Target, budget_of, folder_of, load_target
from evolve.evaluation import admitted
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.isolation import UNISOLATED, is_unisolated, options_of
from evolve.journal import cut, plain
from evolve.judges import judge_command, slots_for
from evolve.model import Genome, Objective, Outcome, Trial
from evolve.objectives import alike
from evolve.reports.progress import PLAIN_EVERY, clock, rewrites

FIRST_SEED = 9_100_001  # no search draws from here
ATTEMPTS = 4  # of a training that the machine spoils
AFFORDABLE = 300.0  # wall-clock seconds that the seed program may take besides
LARGEST = 10_000_000  # bytes of a script that are read
SHOWN = 300  # characters of a finding
SHOWN_LAST = 900  # of the one that decides, which may name all metrics of a judge
UNITS = {"bpb": "bits per byte", "nll": "nats"}
TICK = 0.5


@dataclass(frozen=True)
class Audited:
    """What the trainings of a script, and of the seed program, came to."""

    name: str
    loss: str
    outcomes: Sequence[Outcome]
    seed: Sequence[Outcome] = ()
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    hello: dict[str, Any] = field(default_factory=dict)


def audit_file(console: Console, options: Namespace) -> int:
    """Audit `options.file` and print what was found; 0 for a sound script, else 1.

    Raises `ConfigError`, and `JudgeError` where no judge starts or the machine spoils the trainings.
    """
    source = read_script(Path(options.file))
    if options.seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, not {options.seeds}")
    target = load_target(folder_of(options.target))
    budget = budget_of(target, options.scale, options.budget)
    isolation = options_of(options.isolation, options.unsafe_no_sandbox)
    command = judge_command(target, options.scale, options.data, isolation)
    reader = plugins.load(plugins.READER)
    program = read_seed(reader(target.rules), target, options.scale)
    slots = slots_for(target, options.scale, None)[: max(1, 2 * options.seeds)]
    with closing(LocalExecutor(command, slots, lambda trial: trial.genome.source, sys.stderr)) as executor:
        executor.hello |= {"asked": options.isolation, "unsafe": options.unsafe_no_sandbox}
        seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
        mine = [Trial(Genome(source), {}, budget, 1.0, options.scale, seed, "report") for seed in seeds]
        seconds = budget / float(executor.hello.get("core_speed", 1.0))
        wall = math.ceil(options.seeds / executor.slots) * seconds
        theirs = [replace(t, genome=program) for t in mine] if wall <= AFFORDABLE and source != program.source else []
        _announce(console, options.file, executor, len(mine), len(theirs), budget, seconds)
        outcomes = _trained(console, executor, [*mine, *theirs], len(mine), target.objectives)
        audited = Audited(
            Path(options.file).name,
            target.objectives[0].name,
            outcomes[: len(mine)],
            outcomes[len(mine) :],
            _counts(target, options.scale, options.data),
            executor.hello,
        )
    console.print(scores(audited))
    console.print(findings(audited, _remarks(reader, target, source)))
    sound, said = verdict(audited)
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0 if sound else 1


def read_script(path: Path) -> str:
    """The text of a script, with its line ends as they are. Raises `ConfigError`."""
    try:
        if not path.is_dir() and not path.is_file() and path.exists():
            raise ConfigError(f"{path} is no ordinary file: give the path of a training script")
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path} has {path.stat().st_size:,} bytes: that is no training script")
        with path.open("rb") as file:
            return file.read(LARGEST).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _announce(
    console: Console, name: str, executor: LocalExecutor, mine: int, theirs: int, budget: float, seconds: float
) -> None:
    also = f" and {theirs} of the seed program" if theirs else ""
    expected = clock(math.ceil((mine + theirs) / executor.slots) * seconds)
    console.print(
        f"Audit of {name}: {counted(mine, 'training')}{also}, {budget:g} charged seconds each. They train for about "
        f"{expected} on {counted(executor.slots, 'slot')}; the start and the evaluation of each come on top, and take "
        "longer than a short training.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"Isolation: {executor.hello.get('isolation', 'not told')}", markup=False, highlight=False)


def _trained(
    console: Console, executor: LocalExecutor, trials: Sequence[Trial], mine: int, objectives: Sequence[Objective]
) -> list[Outcome]:
    """The outcomes in the order of the trials, as a run would record them.

    Raises `JudgeError` if the machine spoils one again and again.
    """
    outcomes: dict[int, Outcome] = {}
    pace = Pace(console, len(trials), executor.slots)
    attempts = dict.fromkeys(range(len(trials)), 1)
    running: dict[Future[Outcome], int] = {executor.submit(trial): n for n, trial in enumerate(trials)}
    with pace:
        while running:
            done, _ = wait(running, timeout=TICK, return_when=FIRST_COMPLETED)
            pace(len(outcomes))
            for future in done:
                n = running.pop(future)
                outcome = admitted(future.result(), trials[n], objectives)
                if outcome.status == "infrastructure":
                    if attempts[n] >= ATTEMPTS or not executor.slots:
                        raise JudgeError(f"no verdict, since the machine spoils the trainings: {outcome.reason}")
                    attempts[n] += 1
                    running[executor.submit(trials[n])] = n
                    continue
                outcomes[n] = outcome
                theirs = f"seed program {n - mine + 1} of {len(trials) - mine}"
                what = theirs if n >= mine else f"training {n + 1} of {mine}"
                line = f"  {what}: {_short(outcome, objectives[0].name)} ({pace.said(len(outcomes))})"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    return [outcomes[n] for n in range(len(trials))]


class Pace:
    """How far the trainings are and how long they may still take: a line that changes on a terminal, else plain lines.

    Call it with the number of those that are done as often as you like; use it as a context.
    """

    def __init__(self, console: Console, total: int, slots: int) -> None:
        self._console = console
        self._rounds = math.ceil(total / slots)
        self._total, self._slots = total, slots
        self._start = self._last = time.monotonic()
        self._status = console.status("training …") if rewrites(console) else None

    def __enter__(self) -> Pace:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        line = f"{done} of {self._total} trainings done, {self.said(done)}"
        if self._status:
            self._status.update(line)
        elif now - self._last >= PLAIN_EVERY:
            self._last = now
            self._console.print(f"  {line}", markup=False, highlight=False)

    def said(self, done: int) -> str:
        """Trainings of equal length on `slots` at a time end in rounds; how long one takes is known from the first."""
        elapsed = time.monotonic() - self._start
        if done == self._total:
            return f"{clock(elapsed)} elapsed"
        if not done:
            return f"{clock(elapsed)} elapsed, time left not known yet"
        left = max(0.0, elapsed * (self._rounds / math.ceil(done / self._slots) - 1))
        return f"{clock(elapsed)} elapsed, {f'about {clock(left)} left' if left >= 1 else 'the last under way'}"


def counted(n: int, what: str) -> str:
    """`1 training`, `2 trainings`."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def _short(outcome: Outcome, loss: str) -> str:
    losses = [f"{name} {outcome.metrics[name]:.4f}" for name in alike(loss, outcome.metrics)]
    return ", ".join([outcome.status, *losses]) if outcome.status == "ok" else f"{outcome.status}, {_said(outcome)}"


def _said(outcome: Outcome, most: int = SHOWN) -> str:
    return cut(outcome.reason, most)


def _counts(target: Target, scale: str, data: str | None) -> dict[str, dict[str, float]]:
    """What count models lose on the texts of a report, by text and model; nothing from a judge that cannot say."""
    command = [sys.executable, *judge_command(target, scale, data), "--counts"]
    said = subprocess.run(command, capture_output=True, text=True)
    try:
        counts = json.loads(said.stdout) if said.returncode == 0 else {}
    except ValueError:
        return {}
    return counts if isinstance(counts, dict) and all(isinstance(models, dict) for models in counts.values()) else {}


def _remarks(reader: Any, target: Target, source: str) -> Iterator[tuple[str, str]]:
    """What the target's rules say of the text."""
    size, most = len(source.encode()), target.rules.max_bytes
    over = "" if size <= most else ", more than the rules of the target allow"
    yield "size", f"{size:,} of {most:,} bytes{over}"
    try:
        reader(replace(target.rules, max_bytes=LARGEST)).read(source)
        yield "rules", "ok: imports, names and calls are as the target has them"
    except ValueError as error:
        yield "rules", f"remark: {cut(str(error), 2 * SHOWN)}"


def scores(audited: Audited) -> Table:
    """The loss on each text, or whatever data there are, beside the seed program and the count models."""
    table = Table(title=f"Scores of {escape(audited.name)}: mean±standard deviation over seeds", title_justify="left")
    models = list(dict.fromkeys(model for losses in audited.counts.values() for model in losses))
    first = UNITS.get(audited.loss.rpartition("_")[2], audited.loss)
    for column in (first, audited.name, "seed program", *models):
        table.add_column(escape(column), justify="left" if column == first else "right")
    names = [name for o in (*audited.outcomes, *audited.seed) for name in alike(audited.loss, o.metrics)]
    for name in dict.fromkeys(names):
        counts = audited.counts.get(name.rpartition("_")[0], {})
        cells = [f"{counts[model]:.4f}" if model in counts else "-" for model in models]
        label = {"val_bpb": "validation text", "test_bpb": "test text", "second_bpb": "second text"}.get(name, name)
        table.add_row(label, _spread(audited.outcomes, name), _spread(audited.seed, name), *cells)
    return table


def _spread(outcomes: Sequence[Outcome], name: str) -> str:
    values = [o.metrics[name] for o in outcomes if name in o.metrics]
    if not values:
        return "-"
    return f"{fmean(values):.4f}" + (f"±{stdev(values):.4f}" if len(values) > 1 else "") + f" ({len(values)})"


def findings(audited: Audited, remarks: Iterator[tuple[str, str]]) -> Table:
    """Each check with what it found over the seeds, then what happened around the trainings."""
    table = Table("", "found", title="Checks", title_justify="left")
    for name in dict.fromkeys(name for outcome in audited.outcomes for name in outcome.checks):
        table.add_row(escape(f"check {plain(name)}"), escape(_over_seeds(audited.outcomes, name)))
    table.add_row("isolation", escape(str(audited.hello.get("isolation", "not told"))))
    table.add_row("trainings", escape(_ends(audited.outcomes)))
    logs = [len(outcome.log_tail.encode(errors="replace")) for outcome in audited.outcomes]
    table.add_row("log", f"{max(logs):,} bytes at most were kept")
    for label, said in remarks:
        table.add_row(label, escape(said))
    return table


def _ends(outcomes: Sequence[Outcome]) -> str:
    """How the trainings ended: each way with how many did so, and what was said of the first."""
    first = {o.status: o for o in reversed(outcomes)}
    counts = Counter(o.status for o in outcomes)
    said = {status: _said(one) for status, one in first.items()} | {"ok": "came to the end, not killed"}
    return "; ".join(f"{status} in {n} of {len(outcomes)}: {said[status]}" for status, n in counts.items())


def _over_seeds(outcomes: Sequence[Outcome], name: str) -> str:
    """The worst finding of a check, and in how many trainings it was that."""
    found = [outcome.checks[name] for outcome in outcomes if name in outcome.checks]
    worst = next(t for word in ("failed", "skipped", "ok", "") for t in found if t.startswith(word))
    word, what = re.split(":? ", f"{worst} ", maxsplit=1)
    return f"{word} in {sum(t.startswith(word) for t in found)} of {len(found)}: {cut(what, SHOWN)}".rstrip(": ")


def verdict(audited: Audited) -> tuple[bool, str]:
    """Whether the script is sound, and the last line, which says so with the reason."""
    n = len(audited.outcomes)
    proven = [o for o in audited.outcomes if o.violation]
    broken = [o for o in audited.outcomes if o.status != "ok"]
    failed = [f"{k}: {v}" for o in audited.outcomes for k, v in o.checks.items() if v.startswith("failed")]
    if proven:
        what = _said(proven[0]).removeprefix(f"{proven[0].violation}: ")
        said = f"not sound: {proven[0].violation} in {len(proven)} of {counted(n, 'training')}: {what}"
    elif broken:
        what = f"{broken[0].status}, {_said(broken[0], SHOWN_LAST)}"
        said = f"not sound: no score in {len(broken)} of {counted(n, 'training')}: {what}"
    elif failed:
        said = f"not sound: {cut(failed[0], SHOWN)}"
    elif not any(o.checks for o in audited.outcomes):
        said = "not sound: the judge of this target checks nothing, so nothing is known"
    else:
        skipped = {k for o in audited.outcomes for k, v in o.checks.items() if v.startswith("skipped")}
        checks = {name for o in audited.outcomes for name in o.checks} - skipped
        said = f"sound: {counted(len(checks), 'check')} in {counted(n, 'training')} found nothing"
        for name in alike(audited.loss, audited.outcomes[0].metrics)[:1]:
            said += f"; {name} {_spread(audited.outcomes, name)}"
        said += f"; not known: {', '.join(sorted(skipped))}" if skipped else ""
    sound = said.startswith("sound")
    return sound, said + (f"; {UNISOLATED}" if is_unisolated(audited.hello) else "")
