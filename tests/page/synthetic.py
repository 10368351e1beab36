"""A made-up run of any size, written as the events of a real one: the same for the same size.

Children gain less and less, some fail, are refused, repeat others, are infeasible, pruned or in quarantine; the front
has several members, one of them with a censored time. Their programs are the real seed program with lines of others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from evolve import records
from evolve.history import History
from evolve.model import (
    Candidate,
    Cost,
    Edit,
    Effect,
    Estimate,
    Fitness,
    Genome,
    Knob,
    Number,
    Objective,
    Outcome,
    Proposal,
    Rejected,
    Trial,
    Verdict,
    digest,
)
from evolve.quarantine import Case, case_record
from evolve.search import ParetoSearch
from evolve.store import Event, Store

Rows = Iterator[tuple[str, str, dict[str, Any]]]

BUDGET, LOSS = 8.0, 4.1
RUNGS = (0.25, 0.5, 1.0)
OBJECTIVES = (Objective("val_bpb"), Objective("seconds_to_target"))
SOURCE = (Path(__file__).parents[2] / "train_target" / "train.py").read_text(encoding="utf-8")
KNOBS = (
    Knob("DEPTH", "int", 1, 8, False, 2),
    Knob("DIM", "choice", 32, 128, False, 64, (32, 64, 96, 128)),
    Knob("INIT_STD", "float", 0.002, 0.2, True, 0.02),
    Knob("BATCH_SIZE", "choice", 4, 64, True, 16, (4, 8, 16, 32, 64)),
    Knob("LEARNING_RATE", "float", 1e-4, 1e-1, True, 1e-3),
    Knob("WEIGHT_DECAY", "float", 1e-3, 1.0, True, 0.1),
    Knob("BETA1", "float", 0.5, 0.99, False, 0.9),
    Knob("BETA2", "float", 0.9, 0.9999, False, 0.999),
    Knob("GRAD_CLIP", "float", 0.1, 10.0, True, 1.0),
)
IDEAS = ("rotary positions", "untied norms", "a longer warm-up", "squared ReLU", "hashed bigrams", "a cosine cooldown")
PROBES = ("finite", "repeat", "neighbours", "suffix", "commit", "behind", "random", "first-forward")
HOSTILE = "</script><img src=x onerror=document.title='owned'> <b>bold</b> {{ 7 * 7 }}"


class Run:
    """Draws the children of one run, and knows those before."""

    def __init__(self, size: int, objectives: Sequence[Objective] = OBJECTIVES, hostile: str = "") -> None:
        self.size = size
        self.objectives = tuple(objectives)
        self.hostile = hostile
        self.rng = random.Random(f"run {size}")
        self.told: list[Candidate] = []
        self.parents: list[Candidate] = []
        self.bare = False  # whether one without a fitness was told

    def events(self) -> Rows:
        yield "run", "run", header(self.objectives)
        yield "session", "session/1", session()
        yield from self.seed()
        for index in range(1, self.size):
            yield from self.child(index)
        yield "quarantine", "quarantine/0", case_record(self.case())
        yield "stop", "stop/1", {"reason": f"{self.size // 6} generations done", "waited": 0.0}

    def seed(self) -> Rows:
        genome = Genome(SOURCE, digest("seed"), KNOBS)
        yield "genome", f"genome/{genome.id}", records.genome_record(genome)
        losses = {f"{r:g}": tuple(LOSS - 0.7 * math.log2(r) + d for d in (-0.02, 0.0, 0.02)) for r in RUNGS}
        values = {"val_bpb": Estimate(LOSS, 3, 0.012), "seconds_to_target": Estimate(BUDGET, 3, 0.0)}
        values["tokens_per_second"] = Estimate(metrics(LOSS)["tokens_per_second"], 3, 100.0)
        fitness = Fitness({o.name: values[o.name] for o in self.objectives})
        params = {k.address: k.default for k in KNOBS}
        seed = Candidate("0", 0, genome, params, (), "seed", "ok", "", 1.0, fitness, losses, metrics(LOSS))
        for n, rung in enumerate(RUNGS):
            yield from self.trial(seed, n, rung, "ok")
        yield from self.tell(replace(seed, seconds=44.3, trials=9))

    def child(self, index: int) -> Rows:
        rng = self.rng
        operator = rng.choices(["catalogue", "merge", "tune", "mutate@claude"], [0.5, 0.2, 0.15, 0.15])[0]
        recent = self.parents[-40:]
        parents = rng.sample(recent, 2) if operator == "merge" and len(recent) > 1 else [rng.choice(recent)]
        names = tuple(p.id for p in parents)
        ask = {"index": index, "operator": operator, "parents": list(names), "base": "0", "seed": 1, "inspirations": []}
        yield "ask", f"ask/{index}", ask
        cost = Cost(2.0, 1, 9000, 4000, 700, 0.02) if "@" in operator else Cost(0.1)
        if rng.random() < 0.05:
            refused = Rejected(f"the answer has no edit of a known place: line {rng.randint(1, 9)}", cost, "edits")
            yield "proposal", f"ask/{index}/proposal", {"ask": index, "proposal": records.proposal_record(refused)}
            no = Candidate(str(index), index, parents[0].genome, {}, names, operator, "rejected", refused.reason)
            yield from self.tell(replace(no, cost=cost))
            return
        yield from self.made(index, operator, parents, cost)

    def made(self, index: int, operator: str, parents: list[Candidate], cost: Cost) -> Rows:
        rng = self.rng
        repeats = index > 20 and rng.random() < 0.04
        source = parents[0].genome.source if repeats or operator == "tune" else self.program(parents[0].genome.source)
        genome = Genome(source, digest(source), KNOBS)
        yield "genome", f"genome/{genome.id}/{index}", records.genome_record(genome)
        idea = rng.choice(IDEAS)
        hypothesis = f"{idea}: attempt {index} makes the gradient of the early steps less noisy {self.hostile}".strip()
        edit = Edit("replace", "GPT.forward", "pass", idea)
        anchor = dict(parents[0].params)
        proposal = Proposal(genome, (edit,), hypothesis, anchor, cost, -0.03, idea.replace(" ", "-"))
        yield "proposal", f"ask/{index}/proposal", {"ask": index, "proposal": records.proposal_record(proposal)}
        child = Candidate(
            str(index), index, genome, self.numbers(anchor), tuple(p.id for p in parents), operator, "ok",
            edits=(edit,), hypothesis=hypothesis, expected=-0.03, idea=proposal.idea, cost=cost, seconds=6.0, trials=4,
        )  # fmt: skip
        if repeats:
            yield from self.tell(replace(child, verdict="duplicate", reason=f"same as {parents[0].id}"))
            return
        yield "start", f"ask/{index}/start", {"owner": f"ask/{index}", "tuned": ["DEPTH"], "rungs": list(RUNGS)}
        yield from self.measured(child, parents)

    def measured(self, child: Candidate, parents: list[Candidate]) -> Rows:
        """How far it comes is drawn; the loss falls with the share of the run that is over."""
        rng = self.rng
        fate = rng.choices(["failed", "pruned", "infeasible", "once", "confirmed"], [0.1, 0.35, 0.15, 0.2, 0.2])[0]
        if child.index in (1, 2):
            fate = ("confirmed", "infeasible")[child.index - 1]
        loss = LOSS - 1.6 * (child.index / self.size) ** 0.4 * (0.8 + 0.2 * rng.random()) + abs(rng.gauss(0, 0.1))
        if fate == "infeasible":
            loss = LOSS + abs(rng.gauss(0, 0.3)) + 0.01
        if fate == "failed":
            yield from self.trial(child, 0, RUNGS[0], "crashed")
            reason = f"at 0.25: RuntimeError at line {rng.randint(60, 90)}: shapes do not match {self.hostile}".strip()
            yield from self.tell(replace(child, verdict="failed", reason=reason))
            return
        reached = RUNGS[: 1 + rng.randint(0, 1)] if fate == "pruned" else RUNGS
        losses = {f"{r:g}": tuple(loss - 0.6 * math.log2(r) + d for d in (-0.02, 0.0, 0.02)) for r in reached}
        for n, rung in enumerate(reached):
            yield from self.trial(child, n, rung, "ok", losses[f"{rung:g}"][1])
            known = {"owner": f"ask/{child.index}", "name": f"{rung:g}", "loss": losses[f"{rung:g}"][1], "answer": True}
            yield "answer", f"ask/{child.index}/answer/{rung:g}", known
        effect = Effect(loss - fmean(parents[0].losses.get("1", (LOSS,))), reached[-1], 0.02)
        child = replace(child, rung=reached[-1], losses=losses, effect=effect)
        if fate == "pruned":
            yield from self.tell(replace(child, verdict="pruned", reason=f"not in the better half at {reached[-1]:g}"))
            return
        checks = {name: f"ok: changes up to {rng.random():.3f} nats at 4096 positions" for name in PROBES}
        child = replace(child, fitness=self.fitness(loss, fate), metrics=metrics(loss), checks=checks)
        if not self.bare and child.index >= self.size // 2:
            self.bare, child = True, replace(child, fitness=None)
        yield from self.tell(child)

    def fitness(self, loss: float, fate: str) -> Fitness:
        rng, n = self.rng, 1 if fate == "once" else 3
        values = {"val_bpb": Estimate(loss, n, 0.012 if n > 1 else None)}
        seconds = BUDGET * math.exp(-(LOSS - loss) * (0.9 + 0.3 * rng.random())) * (1 + 0.4 * rng.random())
        if fate != "infeasible":
            censored = seconds < BUDGET / 5
            values["seconds_to_target"] = Estimate(
                min(seconds, BUDGET), n, None if censored or n < 3 else 0.1, censored
            )
        values["tokens_per_second"] = Estimate(38000 - 6000 * abs(loss - 3) * rng.random(), n, 100.0)
        kept = {o.name: values[o.name] for o in self.objectives if o.name in values}
        return Fitness(kept, max(0.0, loss - LOSS) if fate == "infeasible" else 0.0)

    def trial(self, c: Candidate, n: int, rung: float, status: str, loss: float = LOSS) -> Rows:
        owner = f"ask/{c.index}"
        trial = Trial(c.genome, c.params, BUDGET * rung, rung, "cpu", 0, "rung" if n else "tune")
        yield "trial", f"{owner}/trial/{n}", {"owner": owner, "n": n, "trial": records.trial_record(trial)}
        log = "\n".join(f"step {25 * i:5d}  loss {loss + 5 / (i + 1):.4f}  epoch 1" for i in range(12)) + self.hostile
        outcome = Outcome("ok", {"val_bpb": loss}, log, trial.budget, "cpu x86_64")
        if status != "ok":
            outcome = Outcome("crashed", {}, log, 0.5, "cpu x86_64", "RuntimeError")
        body = {"owner": owner, "n": n, "final": True, "outcome": records.outcome_record(outcome)}
        yield "outcome", f"{owner}/trial/{n}/outcome", body

    def tell(self, candidate: Candidate) -> Rows:
        self.told.append(candidate)
        if candidate.verdict == "ok" and candidate.fitness and candidate.fitness.feasible:
            self.parents.append(candidate)
        yield "tell", f"ask/{candidate.index}/tell", records.candidate_record(candidate)

    def case(self) -> Case:
        """One of the later ones that were confirmed, and another that carries its edit."""
        guilty = [c for c in self.told if c.verdict == "ok" and c.index > self.size // 3 and c.fitness][:2]
        return Case(guilty[0].id, "causality", tuple(c.id for c in guilty), True)

    def program(self, source: str) -> str:
        """Some lines more, or other ones once it is long."""
        rng = self.rng
        lines = source.split("\n")
        at = rng.randrange(30, len(lines) - 20)
        name = rng.choice(["scale", "gate", "mix", "bias", "norm"]) + str(rng.randint(0, 9))
        remark = f"  # {self.hostile}" if self.hostile else ""
        block = [
            f"        {name} = torch.sigmoid(self.{name}(x)) * {rng.random():.3f}{remark}",
            f"        x = x + {name} * F.relu(self.proj(x)).square()",
            f"        x = F.rms_norm(x, (DIM,))  # attempt {rng.randint(0, 999)}",
        ][: rng.randint(1, 3)]
        lines[at : at + (3 if len(lines) > 290 else rng.randint(0, 1))] = block
        return "\n".join(lines)

    def numbers(self, anchor: dict[str, Number]) -> dict[str, Number]:
        moved = self.rng.sample([k for k in KNOBS if k.kind == "float"], 2)
        steps = {
            k.address: min(k.high, max(k.low, anchor[k.address] * math.exp(self.rng.gauss(0, 0.3)))) for k in moved
        }
        return anchor | {name: float(f"{value:.4g}") for name, value in steps.items()}


def metrics(loss: float) -> dict[str, float]:
    return {"val_bpb": loss, "tokens_per_second": 38000 - 2000 * loss, "peak_memory_mb": 84.2, "parameters": 124672.0}


def header(objectives: Sequence[Objective]) -> dict[str, Any]:
    settings = {
        "target": "train_target", "fingerprint": "c862d512b5103dbd", "scale": "cpu", "budget": BUDGET, "seed": 0,
        "population": 12, "offspring": 6, "tune_trials": 1, "operators": {"catalogue": 0.6, "merge": 0.4},
        "models": ["claude"], "corpus": "29f1c8400d91",
    }  # fmt: skip
    named = [{"name": o.name, "direction": o.direction} for o in objectives]
    return {"settings": settings, "rungs": list(RUNGS), "objectives": named, "target": "train_target", "data": None}


def session() -> dict[str, Any]:
    return {
        "corpus": {"name": "sympy-1.14.0", "sha256": "29f1c8400d91"}, "baselines": {"bigram": 3.85, "trigram": 2.85},
        "isolation": "N: namespaces", "level": "N", "device": "cpu x86_64", "versions": {"torch": "2.13.0"},
        "slots": 2, "limits": {"generations": 50},
    }  # fmt: skip


def history_of(rows: Rows, objectives: Sequence[Objective] = OBJECTIVES) -> History:
    """As it is after these events, without a file."""
    history = History(ParetoSearch(objectives, 12, {}, 0))
    history.replay(Event(n, key, kind, 1.7e9 + n, body) for n, (kind, key, body) in enumerate(rows, 1))
    return history


def write(directory: Path, rows: Rows) -> Path:
    """A run directory with these events."""
    store = Store.open(directory, durable=False)
    for kind, key, body in rows:
        store.append(kind, key, body)
    store.close()
    return directory


FAILED: Verdict = "failed"


def failed_seed() -> Rows:
    """A run that ended because the seed program crashed."""
    run = Run(1)
    rows = list(run.seed())
    yield "run", "run", header(OBJECTIVES)
    yield "session", "session/1", session()
    yield rows[0]
    seed = replace(run.told[0], verdict=FAILED, reason="at 0.25: ValueError: no", fitness=None, losses={}, metrics={})
    yield "tell", "ask/0/tell", records.candidate_record(seed)
    yield "stop", "stop/1", {"reason": "the seed program failed", "waited": 0.0}
