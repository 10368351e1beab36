"""What became of candidates of a run under other conditions: at a larger budget, as a larger model.

Every training is a line of `promotions.jsonl` in the run directory, written when it ends. What is shown is computed
from these lines and the run, so trainings can be added at any time, and none is done twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean

from evolve.history import History
from evolve.lines import Lines
from evolve.model import Candidate, Estimate
from evolve.objectives import estimate
from evolve.transfer import Gain, Share, paired, share, unpaired, verdict

FILE = "promotions.jsonl"
SEED = "0"  # the id of the seed program
UNPAIRED = "not trained with any seed that the seed program was trained with"


@dataclass(frozen=True)
class Condition:
    """Under what programs are trained; losses under different conditions are not compared, gains are.

    `budget` is in charged seconds of the scale's clock; `target` and `corpus` are the digests of the target's files and
    of the text, `torch` its version. `weakness` is "" or says that programs were not isolated.
    """

    scale: str
    budget: float
    target: str
    corpus: str
    device: str
    torch: str
    weakness: str = ""

    @property
    def name(self) -> str:
        return f"{self.budget:g} s, {self.scale}"


@dataclass(frozen=True)
class Training:
    """One training of a candidate, or of the seed program, under a condition.

    `program` is the digest of the text that was run; `notes` say what of its size is its own there. Metrics are empty
    unless `status` is "ok".
    """

    condition: Condition
    id: str
    program: str
    seed: int
    status: str
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Promotions:
    """The trainings of a run directory. Raises `StoreError` where the file cannot be read or written."""

    def __init__(self, directory: Path) -> None:
        self._lines = Lines(directory / FILE)
        self.trainings = self._lines.read_as(lambda row: Training(**row | {"condition": Condition(**row["condition"])}))

    def add(self, training: Training) -> None:
        self._lines.add(asdict(training))
        self.trainings.append(training)

    @property
    def conditions(self) -> list[Condition]:
        """In the order in which they were met first."""
        return list(dict.fromkeys(t.condition for t in self.trainings))

    def of(self, condition: Condition, name: str) -> dict[int, Training]:
        """The trainings of a candidate by seed: of the text that was trained last."""
        found = [t for t in self.trainings if t.condition == condition and t.id == name]
        return {t.seed: t for t in found if t.program == found[-1].program}

    def ids(self, condition: Condition) -> list[str]:
        """Who was trained under a condition besides the seed program."""
        return [i for i in dict.fromkeys(t.id for t in self.trainings if t.condition == condition) if i != SEED]


@dataclass(frozen=True)
class Row:
    """A program under a condition: its loss, means of its metrics, and for a candidate what became of its gain."""

    id: str
    n: int
    loss: Estimate | None
    metrics: Mapping[str, float]
    gain: Gain | None = None
    share: Share | None = None
    verdict: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Home:
    """What the gain at home was: as the run measured it, or on fresh seeds. `condition` is None for the run's own."""

    gain: Gain
    condition: Condition | None = None

    @property
    def source(self) -> str:
        if self.condition:
            return f"measured again at {self.condition.name} on {self.gain.n} fresh seeds"
        return "as the run measured it, with the seeds that it was chosen by, which flatters it"


def gain_of_run(history: History, candidate: Candidate) -> Gain | None:
    """What the run itself measured at its full budget; None for one that it did not train there."""
    seed = history.seed
    if seed is None or not seed.fitness or not candidate.fitness:
        return None
    return unpaired(seed.fitness.values[history.loss], candidate.fitness.values[history.loss])


def home_of(history: History, promotions: Promotions, candidate: Candidate) -> Home | None:
    """The gain under the conditions of the run: on fresh seeds where it was trained with some there, else the run's."""
    settings = history.header["settings"]
    home = (settings["scale"], settings["budget"], settings["corpus"])
    device = history.began.get("device")
    for condition in reversed(promotions.conditions):
        there = device in (None, condition.device)  # on another one the same seconds are another budget
        if there and (condition.scale, condition.budget, condition.corpus) == home:
            gain = _gain(promotions, condition, candidate.id, history.loss)
            if gain and gain.margin is not None:
                return Home(gain, condition)
    gain = gain_of_run(history, candidate)
    return Home(gain) if gain else None


def rows(history: History, promotions: Promotions, condition: Condition) -> list[Row]:
    """The seed program and the candidates that were trained under a condition."""
    everybody = [_row(promotions, condition, SEED, history.loss)]
    for name in promotions.ids(condition):
        if candidate := history.candidates.get(name):
            home = home_of(history, promotions, candidate)
            gain = _gain(promotions, condition, name, history.loss)
            row = replace(_row(promotions, condition, name, history.loss), verdict=UNPAIRED)
            if home and home.condition == condition:
                row = replace(row, gain=gain, verdict="home, on fresh seeds")
            elif gain:
                part = share(gain, home.gain) if home else None
                row = replace(row, gain=gain, share=part, verdict=verdict(gain, home.gain if home else None))
            if failed := _failure(promotions, condition, name):
                row = replace(row, verdict=failed)
            everybody.append(row)
    return everybody


def _row(promotions: Promotions, condition: Condition, name: str, loss: str) -> Row:
    trainings = promotions.of(condition, name)
    ok = [t.metrics for t in trainings.values() if t.status == "ok"]
    names = [metric for metric in ok[0] if all(metric in m for m in ok)] if ok else []
    means = {metric: fmean(m[metric] for m in ok) for metric in names}
    notes = next(iter(trainings.values())).notes if trainings else ()
    return Row(name, len(ok), estimate([m[loss] for m in ok]) if ok else None, means, notes=notes)


def _gain(promotions: Promotions, condition: Condition, name: str, loss: str) -> Gain | None:
    """Over the seeds that both programs were trained with; None where there are none."""

    def losses(who: str) -> dict[int, float]:
        return {s: t.metrics[loss] for s, t in promotions.of(condition, who).items() if t.status == "ok"}

    return paired(losses(SEED), losses(name))


def _failure(promotions: Promotions, condition: Condition, name: str) -> str:
    for who, label in ((name, "no result"), (SEED, "the seed program has no result")):
        for training in promotions.of(condition, who).values():
            if training.status != "ok":
                return f"{label}: {training.status} with seed {training.seed}, {training.reason}"
    return ""
