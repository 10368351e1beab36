"""Reading a target: what is there is read exactly, what is wrong is said with a cure."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import pytest

from evolve.assemble import limits_of
from evolve.config import ConfigError, Target, budget_of, load_target
from evolve.model import Briefing, Mating, Objective, Rejected
from evolve.plugins import load, load_operators

TOML = """
script = "train.py"
rungs = [0.25, 0.5, 1.0]
[[objectives]]
name = "val_bpb"
direction = "minimize"
[[objectives]]
name = "tokens_per_second"
direction = "maximize"
[stop]
generations = 7
[harness]
judge = "judge.py"
[rules]
contract = ["evaluate_bpb"]
protected = ["prepare"]
imports = ["torch"]
max_bytes = 1000
[hints]
"*_LR" = "1e-4..1e-1 log"
[scales.cpu]
budget = 20.0
[scales.gpu]
budget = 300
"""


def write(folder: Path, toml: str = TOML, script: bytes = b"LR = 1\r\n# \xc3\xbc\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "target.toml").write_text(toml, encoding="utf-8")
    (folder / "train.py").write_bytes(script)
    (folder / "judge.py").write_text("judge")
    return folder


def test_a_target_is_read_exactly(tmp_path: Path) -> None:
    target = load_target(write(tmp_path / "toy"))
    assert target.name == "toy" and target.source == "LR = 1\r\n# ü\n"
    assert target.rungs == (0.25, 0.5, 1.0) and target.stop == {"generations": 7}
    assert target.objectives == (Objective("val_bpb"), Objective("tokens_per_second", "maximize"))
    assert target.rules.imports == ("torch",) and target.rules.hints == {"*_LR": "1e-4..1e-1 log"}
    assert target.judge == tmp_path / "toy" / "judge.py"


def test_what_a_scale_knows_of_numbers_goes_before_what_all_know(tmp_path: Path) -> None:
    more = '\n[scales.gpu.hints]\nEMBED_LR = "fixed"\nDIM = "256|512"\n'
    target = load_target(write(tmp_path / "toy", TOML + more))
    hints = {"EMBED_LR": "fixed", "DIM": "256|512", "*_LR": "1e-4..1e-1 log"}
    assert list(target.rules_at("gpu").hints.items()) == list(hints.items()), "the first that matches applies"
    assert target.rules_at("cpu") == target.rules
    with pytest.raises(ConfigError, match="hint for DIM must be text in quotes"):
        load_target(write(tmp_path / "wrong", TOML + more.replace('"256|512"', "512")))


def test_the_targets_of_this_repository_can_be_read() -> None:
    target = load_target(Path(__file__).parents[2] / "train_target")
    assert target.objectives[0].name == "val_bpb" and "cpu" in target.scales and target.rungs[-1] == 1.0


@pytest.mark.parametrize("part", ["target.toml", "train.py", "judge.py"])
def test_any_change_is_another_target(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path / "toy")
    before = load_target(folder).fingerprint
    assert load_target(folder).fingerprint == before
    (folder / part).write_text((folder / part).read_text() + "\n# changed\n")
    assert load_target(folder).fingerprint != before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('script = "train.py"', "", "lacks 'script'"),
        ("budget = 20.0", "budget = = 1", "not valid TOML"),
        ("[harness]", "[other]", "has other, which is no part of a target: script,"),
        ('[harness]\njudge = "judge.py"\n', "", "lacks 'harness'"),
        ('script = "train.py"', 'script = "missing.py"', "names a script that is not there: .*missing.py"),
        ('judge = "judge.py"', 'judge = "no_judge.py"', "a judge that is not there: .*no_judge.py"),
        ('script = "train.py"', "script = 3", "wrong kind"),
        ("max_bytes = 1000", 'max_bytes = "many"', "wrong kind"),
        ('contract = ["evaluate_bpb"]', "contract = 1", "wrong kind"),
        ("[0.25, 0.5, 1.0]", "[1.0]", "ascending shares"),
        ("[0.25, 0.5, 1.0]", "[0.5, 0.25, 1.0]", "ascending shares"),
        ("[0.25, 0.5, 1.0]", "[0.25, 0.25, 1.0]", "ascending shares"),
        ("[0.25, 0.5, 1.0]", "[0.25, 0.5]", "ascending shares"),
        ("[0.25, 0.5, 1.0]", "[0.0, 1.0]", "ascending shares"),
        ("[0.25, 0.5, 1.0]", "[nan, 1.0]", "ascending shares"),
        ("[0.25, 0.5, 1.0]", '["a", 1.0]', "wrong kind"),
        ('direction = "minimize"', 'direction = "minimise"', "val_bpb is minimize or maximize, not 'minimise'"),
        ('direction = "minimize"', 'direction = "maximize"', "which is minimized: .* instead of val_bpb"),
        ('name = "tokens_per_second"', 'name = "val_bpb"', "different names"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TOML
    with pytest.raises(ConfigError, match=words):
        load_target(write(tmp_path / "toy", TOML.replace(old, new, 1)))


def test_what_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such target: .*--target"):
        load_target(tmp_path)
    with pytest.raises(ConfigError, match="train.py is not UTF-8"):
        load_target(write(tmp_path / "toy", script=b"\xff\xfe"))
    (tmp_path / "toy" / "target.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="target.toml is not UTF-8"):
        load_target(tmp_path / "toy")


def toy(tmp_path: Path) -> Target:
    return load_target(write(tmp_path / "toy"))


def test_the_budget_is_the_scales_unless_given(tmp_path: Path) -> None:
    target = toy(tmp_path)
    assert budget_of(target, "cpu", None) == 20.0 and budget_of(target, "gpu", None) == 300.0
    assert budget_of(target, "cpu", 0.5) == 0.5


@pytest.mark.parametrize("budget", [0.0, -1.0, 1.1e6, float("nan"), float("inf")])
def test_a_budget_that_makes_no_sense(tmp_path: Path, budget: float) -> None:
    with pytest.raises(ConfigError, match="--budget must be a number of seconds above 0"):
        budget_of(toy(tmp_path), "cpu", budget)


def test_an_unknown_scale_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown scale 'tpu': toy has cpu, gpu"):
        budget_of(toy(tmp_path), "tpu", None)


class OneParent:
    name, arity, mended_by = "one", 1, ""

    def __init__(self, reader: object) -> None:
        self.reader = reader

    def propose(self, mating: Mating, briefing: Briefing) -> Rejected:
        return Rejected("a name is all that is asked of it")


class TwoParents(OneParent):
    name, arity, mended_by = "two", 2, ""


def test_operators_are_loaded_by_name() -> None:
    here = f"{__name__}:OneParent"
    assert load(here) is OneParent
    made = load_operators({here: 1.0, f"{__name__}:TwoParents": 2.0}, "reader")
    assert [o.arity for o in made.values()] == [1, 2] and made[here].reader == "reader"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no.such.module:Thing", "cannot load .*package.module:name"),
        (f"{__name__}:Missing", "cannot load"),
        ("catalog", "unknown operator 'catalog': choose from catalogue, merge, tune"),
        (f"{__name__}:TwoParents", "need two parents.*add catalogue or tune"),
    ],
)
def test_operators_that_cannot_be_used(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_operators({name: 1.0}, None)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("generations = 7", 'generations = "many"', "wrong kind"),
        ("generations = 7", "generations = -1", r"\[stop\] generations must be 0 \(off\) or above"),
        ("generations = 7", "wall = nan", r"\[stop\] wall must be"),
        ("generations = 7", "time_limit = 60", r"\[stop\] knows generations, .*not time_limit"),
        ("budget = 20.0", "", "lacks 'budget'"),
        ("budget = 20.0", 'budget = "long"', "wrong kind"),
        ("budget = 20.0", "budget = 20.0\nsmoke_seconds = -1", "smoke_seconds must be"),
        ('"1e-4..1e-1 log"', "6", "hint for \\*_LR must be text"),
        ("[0.25, 0.5, 1.0]", "[nan, 1.0]", "rungs must be"),
    ],
)
def test_numbers_that_are_used_only_later_are_looked_at_when_they_are_read(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in TOML
    with pytest.raises(ConfigError, match=words):
        load_target(write(tmp_path / "toy", TOML.replace(old, new)))


@pytest.mark.parametrize("name", ["os:path", ":x", "..x:y", "evolve.model:Genome", "builtins:print", "antigravity_:x"])
def test_what_is_no_operator_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(name)):
        load_operators({name: 1.0}, "reader")


def test_a_target_may_set_no_limit_of_generations_and_an_option_may_not(tmp_path: Path) -> None:
    target = load_target(write(tmp_path / "toy", TOML.replace("generations = 7", "generations = 0")))
    others = {"total": 5.0, "time_limit": None, "target_loss": None, "stale_generations": None, "refusals": None}
    assert limits_of(Namespace(generations=None, **others), target).generations == 0
    with pytest.raises(ConfigError, match="--generations must be at least 1"):
        limits_of(Namespace(generations=0, **others), target)
