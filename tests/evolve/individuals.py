"""Candidates with made-up fitness, for the tests of selection and search."""

from __future__ import annotations

from evolve.model import Candidate, Edit, Estimate, Fitness, Genome, Objective, Verdict, digest

TWO = (Objective("loss"), Objective("seconds_to_target"))


def individual(
    index: int,
    *means: float,
    n: int = 3,
    violation: float = 0.0,
    skeleton: str = "",
    parents: tuple[int, ...] = (),
    edits: int = 1,
    verdict: Verdict = "ok",
    names: tuple[str, ...] = ("loss", "seconds_to_target"),
) -> Candidate:
    """A candidate with the id `str(index)`; its own family unless `skeleton` names one."""
    values = {name: Estimate(mean, n, 0.01 if n > 1 else None) for name, mean in zip(names, means, strict=False)}
    return Candidate(
        id=str(index),
        index=index,
        genome=Genome(f"program {index}", skeleton or digest(str(index))),
        params={},
        parents=tuple(map(str, parents)),
        operator="grow" if len(parents) < 2 else "merge",
        verdict=verdict,
        fitness=Fitness(values, violation) if verdict == "ok" else None,
        edits=(Edit("replace", "x"),) * edits,
    )
