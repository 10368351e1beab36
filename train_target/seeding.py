"""Seeds in the box: the judge's hold, and those that a script chooses become a function of both.

Which noise a script draws is part of what a search could select for, so numbers that a script chooses must not decide
it: a seeding call is ignored, a generator that a script seeds starts from the judge's seed and the script's together,
and a state is only restored where it was taken before. The same script with the same judge's seed draws the same.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import numpy
import torch

Plain = torch.Generator
PlainRandom = random.Random


def seed_everything(seed: int) -> None:
    """Seed torch, Python and numpy, and make later seeding by the script a matter of the judge's seed."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    _ignore_seeds(seed)
    _keep_to_states_of_ours()
    _seed_generators(seed)


def _note(once: set[str], name: str, said: str) -> None:
    if name not in once:
        print(f"note: {name}() {said}, the harness sets the seed", flush=True)
        once.add(name)


def _ignoring(name: str, result: Callable[[], object]) -> Callable[..., object]:
    """A stand-in for a seeding function: the judge's seed holds, and the log says so once."""
    noted: set[str] = set()

    def ignored(*_: object, **__: object) -> object:
        _note(noted, name, "is ignored")
        return result()

    return ignored


def _ignore_seeds(seed: int) -> None:
    torch.manual_seed = torch.random.manual_seed = _ignoring("torch.manual_seed", lambda: torch.default_generator)
    torch.seed = torch.random.seed = _ignoring("torch.seed", lambda: seed)
    for name in ("manual_seed", "manual_seed_all", "seed", "seed_all"):
        setattr(torch.cuda, name, _ignoring(f"torch.cuda.{name}", lambda: None))
    random.seed = _ignoring("random.seed", lambda: None)
    numpy.random.seed = _ignoring("numpy.random.seed", lambda: None)


def _keep_to_states_of_ours() -> None:
    """States of a generator can be had and restored, as checkpoints of activations do, and not be made up."""
    for module, getter, setter, others in (
        (torch.random, "get_rng_state", "set_rng_state", (torch,)),
        (random, "getstate", "setstate", ()),
        (numpy.random, "get_state", "set_state", ()),
    ):
        name = f"{module.__name__.removesuffix('.random') if module is torch.random else module.__name__}.{setter}"
        get, put = _paired(getattr(module, getter), getattr(module, setter), name)
        for owner in (module, *others):
            setattr(owner, getter, get)
            setattr(owner, setter, put)


def _paired(get: Callable[..., object], put: Callable[..., object], name: str) -> tuple[Callable[..., object], ...]:
    """`get` that remembers what it gave out, and `put` that takes nothing else."""
    given: set[bytes] = set()
    noted: set[str] = set()

    def got(*arguments: object, **named: object) -> object:
        state = get(*arguments, **named)
        given.add(_digest(state))
        return state

    def set_again(state: object, *arguments: object, **named: object) -> object:
        if _digest(state) in given:
            return put(state, *arguments, **named)
        return _note(noted, name, "is ignored but for states that were taken before")

    return got, set_again


def _digest(state: object) -> bytes:
    """Of a state as torch, Python or numpy has it."""
    if isinstance(state, torch.Tensor):
        return hashlib.blake2b(state.cpu().numpy().tobytes(), digest_size=16).digest()
    if isinstance(state, tuple):
        return b"".join(_digest(part) for part in state)
    content = state.tobytes() if isinstance(state, numpy.ndarray) else repr(state).encode()
    return hashlib.blake2b(content, digest_size=16).digest()


def _mixed(seed: int, chosen: object) -> int:
    """A seed of 63 bits that depends on the judge's and on what a script chose."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {chosen!r}".encode(), digest_size=8).digest()) >> 1


def _seed_generators(seed: int) -> None:
    """Classes and functions that make generators, so that each starts from the judge's seed."""
    noted: set[str] = set()

    class Checked(type(Plain)):
        """What torch makes itself is a generator, too."""

        def __instancecheck__(cls, thing: object) -> bool:
            return isinstance(thing, Plain)

    class Generator(Plain, metaclass=Checked):
        """A torch.Generator whose seeds are mixed with the judge's."""

        def __init__(self, *_: object, **__: object) -> None:
            Plain.manual_seed(self, _mixed(seed, ""))

        def manual_seed(self, chosen: int) -> Generator:
            _note(noted, "Generator.manual_seed", "is mixed")
            Plain.manual_seed(self, _mixed(seed, int(chosen)))
            return self

        def seed(self) -> int:
            Plain.manual_seed(self, _mixed(seed, "again"))
            return self.initial_seed()

    class Random(PlainRandom):
        """A random.Random whose seeds are mixed with the judge's."""

        def seed(self, a: object = None, version: int = 2) -> None:
            super().seed(_mixed(seed, a), version)

    class RandomState(numpy.random.RandomState):
        """numpy's older generator, likewise."""

        def __init__(self, chosen: object = None) -> None:
            super().__init__(_mixed(seed, chosen) % 2**32)

    make = numpy.random.default_rng

    def default_rng(chosen: object = None) -> numpy.random.Generator:
        made = isinstance(chosen, numpy.random.BitGenerator | numpy.random.Generator)
        return make(chosen if made else _mixed(seed, chosen))

    torch.Generator, random.Random = Generator, Random
    numpy.random.default_rng, numpy.random.RandomState = default_rng, RandomState
