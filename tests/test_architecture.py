"""The style of this code base, as tests: who imports whom, how long things get, what is caught and how it is named.

What is allowed stands in the tables on top; a change of the architecture is a change of a table.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("evolve", "operators", "train_target", "digits_target", "benchmarks")
RESULTS = ROOT / "benchmarks" / "results"  # what was found, not what was written

LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60

MAY_IMPORT = {  # a package of ours, and what of ours it may import
    "evolve": {"evolve"},  # the command line introduces the others by name
    "operators": {"operators", "evolve.model", "evolve.protocols", "evolve.journal"},
    "train_target": {"train_target"},
    "digits_target": {"digits_target", "train_target"},  # whose machinery every target uses
    "benchmarks": {"benchmarks", "evolve", "operators", "train_target"},
}

ONLY_IN = {  # a dependency, and the only modules that may import it
    "deap": {"evolve.selection", "benchmarks.calibration.zdt"},
    "moocore": {"evolve.selection", "benchmarks.comparison.fronts"},
    "optuna": {
        "evolve.tuner",
        "evolve.exports.optuna_journal",
        "benchmarks.calibration.zdt",
        "benchmarks.comparison.samplers",
    },
    "sqlite3": {"evolve.store"},
    "libcst": {"operators"},
    "ast": {"operators"},
    "torch": {
        "train_target",
        "digits_target.prepare",
        "digits_target.train",
        "benchmarks.reference.train",
        "benchmarks.busy.plain",
        "benchmarks.comparison.samplers",  # whose Gaussian process is to stay on one thread
    },
    "landlockpy": {"train_target"},
    "anthropic": {"operators.llm.messages"},
    "jinja2": {"operators.llm", "evolve.page", "benchmarks.comparison.page"},
}
IN_ONE_MODULE = (
    "matplotlib",
    "pyarrow",
    "rustbpe",
    "bokeh",
    "tensorboardX",
    "mlflow",
    "scikit_posthocs",
    "statsmodels",
)

IN_THE_BOX = (
    "train_target.box",
    "train_target.prepare",
    "digits_target.prepare",
)  # beside a candidate, with all imports
BOX_MAY_IMPORT = {"torch", "numpy", "landlockpy"}  # and the standard library, and each other

BROAD_EXCEPTS = {  # (module, function): a boundary where anything may come through
    ("evolve.executors.local", "_serve"),  # a thread: whoever waits for its future must hear of it
    ("benchmarks.comparison.crew", "work"),  # a process: one run is lost, with a reason, not the others
    ("evolve.proposals", "make"),  # an operator: one child is lost, with a reason, not the run
    ("train_target.box", "run"),  # a candidate
    ("train_target.trials", "trial"),  # a judge: one trial is void, not the slot
    ("train_target.zygote", "live"),  # a box that cannot be shut: the judge must hear of it
}

UNWELCOME_NAMES = re.compile(r"utils?$|helpers?$|misc$|Manager|Handler|Helper|Utils?$|^Base[A-Z]|_safe$|^Async")
MACHINE_WORDS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/|/tmp/bash", re.ASCII)


@cache
def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted(set((ROOT / package).rglob("*.py")) - set(RESULTS.rglob("*.py"))):
            if not any(part in ("cache", "__pycache__") or part.startswith(".") for part in path.parts):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that a module imports, anywhere in it; a name imported from a package that is a module counts."""
    found: set[str] = set()
    package = name if modules()[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            origin = f"{base}{node.module or ''}".rstrip(".")
            members = {f"{origin}.{alias.name}" for alias in node.names}
            found |= {m for m in members if m in modules()} or {origin}
    return frozenset(_full(name, module) for module in found)


def _full(importer: str, module: str) -> str:
    """Scripts of a target import each other, and train_target's, without the name of their folder."""
    own = importer.partition(".")[0]
    folders = (own, "train_target") if own.endswith("_target") else (own,)
    named = (f"{folder}.{module}" for folder in folders if f"{folder}.{module}" in modules())
    return module if module in modules() else next(named, module)


def within(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(allowed + ".")


def test_there_is_something_to_look_at() -> None:
    assert {"evolve.loop", "evolve.executors.local", "operators", "train_target.train"} <= modules().keys()
    assert "evolve.model" in imports("evolve.loop") and "evolve.selection" in imports("evolve.search")
    assert "train_target.sandbox" in imports("train_target.box")


def test_imports_of_ours_follow_the_table() -> None:
    edges = {(n, m) for n in modules() for m in imports(n) if m.partition(".")[0] in PACKAGES}
    assert {(n, m) for n, m in edges if not any(within(m, a) for a in MAY_IMPORT[n.partition(".")[0]])} == set()


def test_a_heavy_dependency_is_imported_where_the_table_says() -> None:
    uses = {(n, d) for n in modules() for m in imports(n) for d in ONLY_IN if within(m, d)}
    assert {(n, d) for n, d in uses if not any(within(n, place) for place in ONLY_IN[d])} == set()
    assert {"deap", "optuna", "sqlite3", "libcst", "torch"} <= {d for _, d in uses}


@pytest.mark.parametrize("dependency", IN_ONE_MODULE)
def test_an_optional_dependency_is_imported_in_one_module(dependency: str) -> None:
    users = [name for name in modules() if any(within(m, dependency) for m in imports(name))]
    assert len(users) <= 1, users


def test_what_runs_in_the_box_imports_torch_the_standard_library_and_each_other() -> None:
    waiting, seen = list(IN_THE_BOX), set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        ours = {m for m in imports(name) if m in modules()}
        assert all(within(m, "train_target") or within(m, "digits_target") for m in ours), name
        others = {m.partition(".")[0] for m in imports(name) - ours}
        assert others <= BOX_MAY_IMPORT | set(sys.stdlib_module_names), name
        waiting += sorted(ours - seen)
    assert not seen & {f"train_target.{m}" for m in ("judge", "session", "scoring", "corpus", "texts")}, seen


def test_imports_have_no_cycle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " imports ".join([*path[path.index(name) :], name])
        if name not in done:
            for module in sorted(imports(name) & modules().keys()):
                visit(module, (*path, name))
            done.add(name)

    for name in modules():
        visit(name, ())


def test_modules_are_short_and_say_what_they_do() -> None:
    lines = {n: len(path.read_text(encoding="utf-8").splitlines()) for n, path in modules().items()}
    assert {n: count for n, count in lines.items() if count > LINES_OF_A_MODULE} == {}
    assert [n for n in modules() if not ast.get_docstring(tree(n))] == []


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree(name)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def test_functions_are_short_and_none_is_asynchronous() -> None:
    every = [(n, f) for n in modules() for f in functions(n)]
    lines = {(n, f.name): (f.end_lineno or f.lineno) - f.lineno + 1 for n, f in every}
    assert {place: count for place, count in lines.items() if count > LINES_OF_A_FUNCTION} == {}
    assert [(n, f.name) for n, f in every if isinstance(f, ast.AsyncFunctionDef)] == []


def _broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(k is None or (isinstance(k, ast.Name) and k.id in ("Exception", "BaseException")) for k in kinds)


def broad_excepts(node: ast.AST, function: str = "") -> Iterator[str]:
    """The innermost function around each broad except below `node`; "" at the top level of a module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler) and _broad(child):
            yield function
        yield from broad_excepts(child, child.name if isinstance(child, ast.FunctionDef) else function)


def test_broad_excepts_are_on_the_list() -> None:
    assert {(name, place) for name in modules() for place in broad_excepts(tree(name))} == BROAD_EXCEPTS


def test_names_say_what_a_thing_is() -> None:
    defined = [
        (n, d.name) for n in modules() for d in ast.walk(tree(n)) if isinstance(d, ast.ClassDef | ast.FunctionDef)
    ]
    named = [*defined, *((n, part) for n in modules() for part in n.split("."))]
    assert [(n, name) for n, name in named if UNWELCOME_NAMES.search(name)] == []


def test_nothing_is_left_undone() -> None:
    undone = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [n for n, path in modules().items() if undone.search(path.read_text(encoding="utf-8"))] == []


def texts() -> list[Path]:
    kinds = {".py", ".md", ".toml", ".sh", ".yml", ".yaml"}
    places = [ROOT / p for p in (*PACKAGES, "tests")]
    found = [p for place in places for p in place.rglob("*") if p.suffix in kinds]
    top = [p for p in ROOT.iterdir() if p.suffix in kinds]
    return [p for p in [*found, *top] if "__pycache__" not in p.parts and p != Path(__file__)]


def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    spoken = {str(p.relative_to(ROOT)): MACHINE_WORDS.findall(p.read_text(encoding="utf-8")) for p in texts()}
    assert {path: words for path, words in spoken.items() if words} == {}
