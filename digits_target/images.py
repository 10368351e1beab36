"""The images of the digits and their split, read from the file that scikit-learn installs; and this target's scales.

Which split an image is in depends on a hash of its pixels alone: of ten, six train, two validate, two are for the final
report. Equal images are in the same split. The file is read as it is, since importing scikit-learn takes seconds.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clock import known_clock
from documents import DataError

FOLDER = Path(__file__).resolve().parent
SPLITS = ("train",) * 6 + ("val",) * 2 + ("test",) * 2
SIZE, CLASSES, BRIGHTEST = 8, 10, 16
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"  # of the file
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scale:
    """What target.toml says of a scale that the judge reads; `budget` in seconds of its `clock`."""

    name: str
    device: str
    clock: str
    budget: float
    memory_mb: int

    @classmethod
    def read(cls, name: str) -> Scale:
        """Raises DataError where there is no such scale, or where it lacks a key or has an unknown clock."""
        scales = tomllib.loads((FOLDER / "target.toml").read_text()).get("scales", {})
        if name not in scales:
            raise DataError(f"no scale {name!r} in target.toml; there are {', '.join(scales)}")
        fields = ("device", "clock", "budget", "memory_mb")
        if missing := [field for field in fields if field not in scales[name]]:
            raise DataError(f"[scales.{name}] in target.toml lacks {', '.join(missing)}")
        known_clock(name, scales[name]["clock"])
        return cls(name, *(scales[name][field] for field in fields))


@dataclass(frozen=True)
class Split:
    """Images (N, 64) of pixels from 0 to 16, and their classes (N)."""

    pixels: Bytes
    labels: Bytes


def installed() -> Path:
    """Where scikit-learn keeps the file with images and labels. Raises DataError."""
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.origin:
        raise DataError("the digits come with scikit-learn: pip install -c constraints.txt -e '.[digits]'")
    return Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"


def load(path: Path) -> dict[str, Split]:
    """The splits by name. Raises DataError where the file cannot be read or is another one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; install scikit-learn again") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{path} is not the file of scikit-learn 1.9: losses could not be compared")
    table = np.loadtxt(gzip.decompress(content).decode().splitlines(), delimiter=",").astype(np.uint8)
    pixels, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1]
    names = np.array([SPLITS[hashlib.sha256(row.tobytes()).digest()[0] % len(SPLITS)] for row in pixels])
    return {name: Split(pixels[names == name], labels[names == name]) for name in ("train", "val", "test")}
