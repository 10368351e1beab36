"""What a model might answer to a request: changes that fit the program it is shown, another one to each question."""

from __future__ import annotations

import re

from tests.llm.fake_server import Received, Says

ACTIVATIONS = ("relu", "silu", "elu", "mish", "softplus", "hardswish", "selu", "leaky_relu", "softsign", "tanhshrink")
USAGE = {"input_tokens": 3000, "output_tokens": 100}

CONFLICT = re.compile(r"^## (\S+) \(", re.MULTILINE)
CRASHED = "It failed before anything could be measured"


def key(received: Received) -> str:
    """The name of the question, such as `ask/12/call/0`."""
    return received.headers["idempotency-key"]


def number(name: str) -> int:
    """Which ask a question belongs to."""
    return int(name.split("/")[1])


def forward(n: int) -> str:
    """An `MLP.forward` with activations of its own for each `n`."""
    outer, inner = ACTIVATIONS[n % 10], ACTIVATIONS[n // 10 % 10]
    return f"""\
    def forward(self, x):
        x = F.{outer}(self.fc(x)) + F.{inner}(x).mean()
        return self.proj(x)
"""


def edit(n: int, address: str = "MLP.forward", code: str = "", idea: str = "none") -> str:
    """A whole answer with one edit."""
    return f"""\
HYPOTHESIS: activation number {n} suits bytes
EXPECT: -0.0{n % 10 + 1}
IDEA: {idea}

EDIT replace {address}
```python
{code or forward(n)}```
"""


def crash(n: int) -> str:
    """A child that crashes as soon as it is run by the judge of these tests, which looks for a word."""
    return edit(n, code=forward(n).replace("return", "'CRASH'\n        return"))


def child(received: Received) -> str:
    """A change for a mutation or a repair, and one of each place in conflict for a crossover."""
    name = key(received)
    if name.startswith("lessons"):
        return "* nothing is proven yet\n"
    places = CONFLICT.findall(received.prompt) if "# Places in conflict" in received.prompt else ["MLP.forward"]
    assert set(places) == {"MLP.forward"}, places  # what these answers ever change
    return edit(number(name))


def says(received: Received) -> Says:
    """The answer of a server, with what it took."""
    return Says(child(received), usage=USAGE)
