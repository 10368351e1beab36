"""Nouns to plain JSON values and back. A genome travels by its id; its text is a record of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from evolve.model import (
    Candidate,
    Cost,
    Edit,
    Effect,
    Estimate,
    Fitness,
    Genome,
    Knob,
    Mating,
    Outcome,
    Proposal,
    Rejected,
    Trial,
)

PLAIN = ("id", "index", "operator", "verdict", "reason", "rung", "hypothesis", "seconds", "trials", "expected", "idea")
PROVEN = ("violation", "quarantined")  # not there in runs that were written before

Record = dict[str, Any]
Genomes = Mapping[str, Genome]


def genome_record(genome: Genome) -> Record:
    return {"source": genome.source, "skeleton": genome.skeleton, "knobs": [asdict(k) for k in genome.knobs]}


def genome_from(record: Record) -> Genome:
    knobs = tuple(Knob(**{**k, "values": tuple(k["values"])}) for k in record["knobs"])
    return Genome(record["source"], record["skeleton"], knobs)


def mating_record(mating: Mating) -> Record:
    return {
        "index": mating.index,
        "operator": mating.operator,
        "parents": [p.id for p in mating.parents],
        "base": mating.base.id if mating.base else None,
        "seed": mating.seed,
        "inspirations": [c.id for c in mating.inspirations],
    }


def mating_from(record: Record, candidates: Mapping[str, Candidate]) -> Mating:
    return Mating(
        index=record["index"],
        operator=record["operator"],
        parents=tuple(candidates[i] for i in record["parents"]),
        base=candidates[record["base"]] if record["base"] else None,
        seed=record["seed"],
        inspirations=tuple(candidates[i] for i in record["inspirations"]),
    )


def proposal_record(proposal: Proposal | Rejected) -> Record:
    if isinstance(proposal, Rejected):
        return {
            "rejected": proposal.reason,
            "cost": asdict(proposal.cost),
            "stage": proposal.stage,
            "ends": proposal.ends,
        }
    return {
        "genome": proposal.genome.id,
        "edits": [asdict(e) for e in proposal.edits],
        "hypothesis": proposal.hypothesis,
        "anchor": dict(proposal.anchor),
        "cost": asdict(proposal.cost),
        "expected": proposal.expected,
        "idea": proposal.idea,
    }


def proposal_from(record: Record, genomes: Genomes) -> Proposal | Rejected:
    cost = Cost(**record["cost"])
    if "rejected" in record:
        return Rejected(record["rejected"], cost, record["stage"], record["ends"])
    edits = tuple(Edit(**e) for e in record["edits"])
    genome, anchor = genomes[record["genome"]], record["anchor"]
    return Proposal(genome, edits, record["hypothesis"], anchor, cost, record["expected"], record["idea"])


def trial_record(trial: Trial) -> Record:
    return {**asdict(replace(trial, genome=Genome(""))), "genome": trial.genome.id, "params": dict(trial.params)}


def trial_from(record: Record, genomes: Genomes) -> Trial:
    return Trial(**{**record, "genome": genomes[record["genome"]]})


def outcome_record(outcome: Outcome) -> Record:
    return asdict(outcome)


def outcome_from(record: Record) -> Outcome:
    return Outcome(**record)


def fitness_record(fitness: Fitness | None) -> Record | None:
    if fitness is None:
        return None
    return {"values": {k: asdict(v) for k, v in fitness.values.items()}, "violation": fitness.violation}


def fitness_from(record: Record | None) -> Fitness | None:
    if record is None:
        return None
    return Fitness({k: Estimate(**v) for k, v in record["values"].items()}, record["violation"])


def candidate_record(candidate: Candidate) -> Record:
    return {k: getattr(candidate, k) for k in PLAIN + PROVEN} | {
        "genome": candidate.genome.id,
        "params": dict(candidate.params),
        "parents": list(candidate.parents),
        "fitness": fitness_record(candidate.fitness),
        "losses": {k: list(v) for k, v in candidate.losses.items()},
        "metrics": dict(candidate.metrics),
        "edits": [asdict(e) for e in candidate.edits],
        "effect": asdict(candidate.effect) if candidate.effect else None,
        "cost": asdict(candidate.cost),
        "checks": dict(candidate.checks),
    }


def candidate_from(record: Record, genomes: Genomes) -> Candidate:
    changed = {
        "genome": genomes[record["genome"]],
        "parents": tuple(record["parents"]),
        "fitness": fitness_from(record["fitness"]),
        "losses": {k: tuple(v) for k, v in record["losses"].items()},
        "edits": tuple(Edit(**e) for e in record["edits"]),
        "effect": Effect(**record["effect"]) if record["effect"] else None,
        "cost": Cost(**record["cost"]),
    }
    return Candidate(**{**record, **changed})
