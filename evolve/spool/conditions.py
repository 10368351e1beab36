"""Under which conditions a trial is measured: those of one run must be alike, or its losses cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evolve.config import ConfigError, Target
from evolve.isolation import check_versions, isolates_less

LONGEST_TEXT = 200  # characters


@dataclass(frozen=True)
class Conditions:
    """What a judge measures with.

    `target` is the fingerprint of the target's folder, `corpus` the SHA-256 of its text. `device` is the name of the
    device where a budget is wall-clock time, "" where it is charged at nominal speed; `level` is the isolation, "" if
    the judge does not say it.
    """

    target: str
    scale: str
    corpus: str
    device: str
    level: str
    versions: Mapping[str, str]


def conditions_of(target: Target, scale: str, hello: Mapping[str, Any]) -> Conditions:
    """The conditions under which a judge of `target` works that introduced itself with `hello`."""
    by_the_clock = target.scales[scale].get("clock") == "wall"
    return conditions_from(
        {
            "target": target.fingerprint,
            "scale": scale,
            "corpus": hello.get("corpus", {}).get("sha256", ""),
            "device": hello.get("device", "") if by_the_clock else "",
            "level": hello.get("level", ""),
            "versions": hello.get("versions", {}),
        }
    )


def conditions_record(conditions: Conditions) -> dict[str, Any]:
    return asdict(conditions) | {"versions": dict(conditions.versions)}


def conditions_from(record: Mapping[str, Any]) -> Conditions:
    """Raises `ValueError` for a record of another form."""
    try:
        texts = {name: record[name] for name in ("target", "scale", "corpus", "device", "level")}
        versions = dict(record["versions"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the conditions are not complete: {error}") from error
    every = (*texts.values(), *versions, *versions.values())
    if wrong := [v for v in every if not isinstance(v, str) or not v.isprintable() or len(v) > LONGEST_TEXT]:
        raise ValueError(f"the conditions hold {str(wrong[0])[:40]!r} where a word belongs")
    return Conditions(**texts, versions=versions)


def check(wanted: Conditions, given: Conditions) -> None:
    """Raises `ConfigError`, with the cure, if what is measured under `given` may not stand beside `wanted`.

    More isolation than wanted is welcome.
    """
    if given.target != wanted.target:
        raise ConfigError(
            f"the target differs: the run's has the fingerprint {wanted.target}, the worker's {given.target}. "
            "Copy the run's target folder there, and name it with --target."
        )
    if given.scale != wanted.scale:
        raise ConfigError(f"the run is at the scale {wanted.scale}, the worker at {given.scale}: give it --scale")
    if given.corpus != wanted.corpus:
        raise ConfigError(
            f"the text differs: the run's has the SHA-256 {wanted.corpus[:12]}, the worker's {given.corpus[:12]}. "
            "Install the same packages there, or give both the same --data."
        )
    if given.device != wanted.device:
        raise ConfigError(
            f"the device differs: the run is measured on {wanted.device}, the worker has {given.device}. "
            "Seconds of a wall clock are not compared across devices."
        )
    if isolates_less({"level": given.level}, {"level": wanted.level}):
        raise ConfigError(
            f"the worker isolates at level {given.level}, the run at {wanted.level}: bring back what is missing "
            "(python -m evolve doctor says what there is)"
        )
    check_versions({"versions": wanted.versions}, {"versions": given.versions})
