"""Seeds that a script chooses, in a real box."""

from __future__ import annotations

import re

from tests.target.conftest import SCORE, TINY, Slot

SEEDS = """
import random, torch, numpy
from torch.utils.checkpoint import checkpoint
def drawn(n):
    return (
        torch.rand(1, generator=torch.Generator().manual_seed(n)).item(), random.Random(n).random(),
        numpy.random.default_rng(n).random(), numpy.random.RandomState(n).rand(), torch.Generator().initial_seed(),
    )
state = torch.get_rng_state()
first = torch.rand(3)
torch.set_rng_state(state)
assert (torch.rand(3) == first).all(), "states can be restored"
torch.set_rng_state(torch.zeros_like(state))
random.setstate((3, (0,) * 624 + (624,), None))
numpy.random.set_state(("MT19937", [0] * 624, 624))
assert torch.rand(1) and random.random() and numpy.random.rand(), "and cannot be made up"
x = torch.ones(64, requires_grad=True)
y = checkpoint(torch.nn.functional.dropout, x, use_reentrant=False)
y.sum().backward()
assert (x.grad == y).all(), "the same dropout in both directions"
assert isinstance(torch.default_generator, torch.Generator)
assert drawn(1) == drawn(1), "the same twice"
print("DRAWN", drawn(1), drawn(2))
"""


def test_seeds_of_a_script_are_a_function_of_the_judges_too(slot: Slot) -> None:
    outcomes = [slot.run(TINY + SEEDS + SCORE, seed=seed) for seed in (1, 1, 2)]
    assert all(outcome["status"] == "ok" for outcome in outcomes), outcomes[0]
    one, same, other = (re.findall(r"^DRAWN (.*)$", outcome["log_tail"], re.M)[0] for outcome in outcomes)
    numbers = [re.findall(r"[\d.]{6,}", drawn) for drawn in (one, other)]
    assert one == same and not set(numbers[0]) & set(numbers[1])
    assert len(set(numbers[0])) == 9, "only generators without a seed of the script are the same"
    log = outcomes[0]["log_tail"]
    assert "note: Generator.manual_seed() is mixed, the harness sets the seed" in log
    assert "torch.set_rng_state() is ignored" in log and log.count("manual_seed") == 1
