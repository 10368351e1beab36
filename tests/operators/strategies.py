"""Programs for property tests: three real scripts, and versions of them changed at random places.

Changes are made to the text, without the operators under test: a test of `apply` or `diff` needs an independent origin.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
SEED = (ROOT / "train_target/train.py").read_text()
DATACLASS = (ROOT / "tests/scripts/dataclass_style.py").read_text()
AUTORESEARCH = (ROOT / "tests/scripts/autoresearch_style.py").read_text()
SCRIPTS = {"seed": SEED, "dataclass": DATACLASS, "autoresearch": AUTORESEARCH}

SNIPPETS = (
    "NEW_RATE = 0.25\n",
    "extra = 1\nprint(extra)\n",
    "def fresh(x):\n    return x + 1\n",
    "class Fresh:\n    width = 3\n\n    def __call__(self, x):\n        return x\n",
    "import collections\n",
)


def scripts() -> st.SearchStrategy[str]:
    """One of the three scripts."""
    return st.sampled_from(sorted(SCRIPTS)).map(SCRIPTS.__getitem__)


@st.composite
def versions(draw: st.DrawFn, source: str) -> str:
    """`source` after one to three random changes of its text that leave it a program."""
    for _ in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from((_numbered, _commented, _inserted, _deleted)))
        changed = draw(change(source))
        if _compiles(changed):
            source = changed
    return source


@st.composite
def _numbered(draw: st.DrawFn, source: str) -> str:
    """Another number in place of one."""
    match = draw(st.sampled_from(list(re.finditer(r"(?<![\w.])\d+(?![\w.])", source))))
    return source[: match.start()] + str(draw(st.integers(2, 9))) + source[match.end() :]


@st.composite
def _commented(draw: st.DrawFn, source: str) -> str:
    """A comment behind the last line of a statement."""
    statement = draw(st.sampled_from(_statements(source)))
    lines = source.splitlines(keepends=True)
    last = (statement.end_lineno or 1) - 1
    lines[last] = f"{lines[last].rstrip()}  # as it was\n"
    return "".join(lines)


@st.composite
def _inserted(draw: st.DrawFn, source: str) -> str:
    """New top-level code before a top-level statement."""
    statement = draw(st.sampled_from(ast.parse(source).body[2:]))
    lines = source.splitlines(keepends=True)
    lines.insert(_first(statement), draw(st.sampled_from(SNIPPETS)) + draw(st.sampled_from(("", "\n", "\n\n"))))
    return "".join(lines)


@st.composite
def _deleted(draw: st.DrawFn, source: str) -> str:
    """A statement less."""
    statement = draw(st.sampled_from(_statements(source)))
    lines = source.splitlines(keepends=True)
    return "".join(lines[: _first(statement)] + lines[statement.end_lineno :])


def _statements(source: str) -> list[ast.stmt]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]


def _first(statement: ast.stmt) -> int:
    return min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))]) - 1


def _compiles(source: str) -> bool:
    try:
        compile(source, "<version>", "exec")
    except SyntaxError:
        return False
    return True
