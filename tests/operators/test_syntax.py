"""Python's parser is called in one place, which threads may share."""

from __future__ import annotations

import ast
import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operators.syntax import nodes, parse

ROOT = Path(__file__).parents[2]
FUNCTION = "def f(a):\n    return [a, (1, {2: a}), f(a)]\n" * 20


@pytest.fixture
def switching() -> Iterator[None]:
    """The garbage collector runs often, and lets another thread run each time."""
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()

    def give_way(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)

    gc.callbacks.append(give_way)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.callbacks.remove(give_way)


def test_threads_parse_at_the_same_time(switching: None) -> None:
    texts = [f"x = {number}\n{FUNCTION}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(parse, texts))
    assert [ast.unparse(tree.body[0]) for tree in trees] == [f"x = {number}" for number in range(40)]


def test_nodes_are_those_of_the_tree_from_the_outer_to_the_inner() -> None:
    assert [type(node).__name__ for node in nodes("x = f(1)\n")] == [
        "Module", "Assign", "Name", "Call", "Store", "Name", "Constant", "Load",
    ]  # fmt: skip
    assert nodes("x = f(1)\n")[0] is parse("x = f(1)\n")


def test_nothing_else_calls_pythons_parser() -> None:
    callers = set()
    for path in (ROOT / "operators").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("ast.parse", "ast.literal_eval"):
                callers.add(path.name)
            if isinstance(node, ast.ImportFrom) and node.module == "ast":
                callers.add(path.name)
    assert callers == {"syntax.py"}
