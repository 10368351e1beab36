"""A spool as one file, to be carried by hand, and back into a folder.

Claims and signs of life do not travel: what is claimed here waits there, and a job that is then done twice counts
once. Nothing is unpacked by the paths that a file names: only members with the name of a job, an outcome or a judge,
that are ordinary files of an ordinary size, are read, and written like any other file of a spool.
"""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from evolve.config import ConfigError
from evolve.spool.folder import CARRIED, LARGEST, NAME, WORD, Damaged, Spool

MOST_MEMBERS = 200_000
MOST_BYTES = 4 << 30  # of all members, unpacked


def pack(spool: Spool, output: Path) -> dict[str, int]:
    """Write all that travels into `output`; returns how many files of each part. Raises `ConfigError`."""
    counts: Counter[str] = Counter({part: 0 for part in CARRIED})
    unfinished = output.with_name(f".{output.name}.{os.urandom(4).hex()}")
    try:
        with tarfile.open(unfinished, "w:gz") as archive:
            for part, name, data in _contents(spool):
                member = tarfile.TarInfo(f"{part}/{name}.json")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
                counts[part] += 1
        os.replace(unfinished, output)
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return dict(counts)


def _contents(spool: Spool) -> Iterator[tuple[str, str, bytes]]:
    """What travels. Files may come and go meanwhile: jobs are read before outcomes, so that none is in neither."""
    jobs = {name: _bytes(spool, "jobs", name) for name in spool.names("jobs")}
    for name, worker in spool.claims():
        jobs[name] = jobs.get(name) or _bytes(spool, "claims", f"{name}@{worker}")
    for part in CARRIED[:-1]:
        for name in spool.names(part):
            if data := _bytes(spool, part, name):
                yield part, name, data
    for name, data in sorted(jobs.items()):
        if data and not spool.closed(name):
            yield "jobs", name, data


def _bytes(spool: Spool, part: str, name: str) -> bytes | None:
    try:
        return spool.bytes_of(part, name)
    except Damaged:
        return None


def merge(file: Path, folder: Path) -> dict[str, int]:
    """Add what is in `file` to a spool; returns how many files of each part were new. Twice is once.

    Raises `ConfigError`, and then nothing was written, for what is no packed spool or holds anything else.
    """
    for _ in _members(file):
        pass
    spool = Spool(folder)
    counts: Counter[str] = Counter({part: 0 for part in CARRIED})
    try:
        for wanted in CARRIED:
            for part, name, data in _members(file):
                counts[part] += part == wanted and _add(spool, part, name, data)
    except OSError as error:
        raise ConfigError(f"cannot write into the spool {folder}: {error.strerror or error}") from error
    return dict(counts)


def _add(spool: Spool, part: str, name: str, data: bytes) -> bool:
    if part == "outcomes":
        return spool.keep(name, data)
    if spool.has(part, name):
        return False
    if part == "withdrawn":
        spool.withdraw(name)
        return True
    if part == "jobs" and (spool.closed(name) or spool.pending(name)):
        return False
    spool.write(part, name, data)
    return True


def _members(file: Path) -> Iterator[tuple[str, str, bytes]]:
    """Part, name and content of every member. Raises `ConfigError` at the first that does not belong there."""
    count = size = 0
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                count, size = count + 1, size + member.size
                part, name = _place(member)
                if not member.isreg() or member.size > LARGEST or count > MOST_MEMBERS or size > MOST_BYTES:
                    raise ConfigError(f"{file} was refused, {part}/{name} is no ordinary file or too much")
                if (opened := archive.extractfile(member)) is None or len(data := opened.read()) != member.size:
                    raise ConfigError(f"{file} is not complete: pack it again")
                yield part, name, data
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise ConfigError(f"{file} is no packed spool, or not all of one: {error}") from error


def _place(member: tarfile.TarInfo) -> tuple[str, str]:
    part, _, rest = member.name.partition("/")
    name = rest.removesuffix(".json")
    form = WORD if part == "judges" else NAME
    if part not in CARRIED or rest == name or not form.fullmatch(name):
        raise ConfigError(f"{member.name[:80]!r} does not belong into a spool: nothing was merged")
    return part, name
