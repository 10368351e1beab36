"""Reading a program under the rules of a target, and writing it with other numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.model import Rules
from operators.genome import NotAllowed, Reader
from operators.knobs import KnobError

ROOT = Path(__file__).parents[2]
SEED = (ROOT / "train_target/train.py").read_text()
SCRIPTS = sorted((ROOT / "tests/scripts").glob("*.py"))
RULES = Rules(
    protected=("prepare", "evaluate_bpb"),
    imports=("dataclasses", "math", "prepare", "time", "torch"),
    contract=("make_dataloader", "evaluate_bpb"),
    hints={"LEARNING_RATE": "1e-4..3e-2 log", "*BATCH_SIZE": "fixed"},
)
READER = Reader(RULES)


def test_a_genome_keeps_its_text_and_knows_its_knobs() -> None:
    genome = READER.read(SEED)
    knobs = {knob.address: knob for knob in genome.knobs}
    assert genome.source == SEED
    assert knobs["LEARNING_RATE"].high == 3e-2
    assert "BATCH_SIZE" not in knobs


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_of_another_style_are_read_as_well(script: Path) -> None:
    assert len(READER.read(script.read_text()).knobs) > 10


def test_programs_that_differ_in_a_knob_are_the_same_and_in_structure_are_not() -> None:
    seed = READER.read(SEED)
    number = READER.read(SEED.replace("LEARNING_RATE = 1e-3", "LEARNING_RATE = 2e-3"))
    comment = READER.read(SEED.replace("# transformer blocks", "# how deep"))
    structure = READER.read(SEED.replace("F.gelu(x)", "F.silu(x)"))
    fixed = READER.read(SEED.replace("BATCH_SIZE = 16", "BATCH_SIZE = 32"))
    assert seed.key == number.key == comment.key
    assert len({seed.key, structure.key, fixed.key}) == 3


def test_a_narrower_declaration_is_another_study_of_the_same_skeleton() -> None:
    seed, narrowed = READER.read(SEED), READER.read(SEED.replace("BETA1 = 0.9", "BETA1 = 0.9  # knob: 0.8..0.95"))
    assert seed.skeleton == narrowed.skeleton
    assert seed.key != narrowed.key


def test_binding_writes_numbers_under_the_rules_of_the_target() -> None:
    genome = READER.read(SEED)
    assert READER.bind(genome, {}) == SEED
    assert READER.bind(genome, {"LEARNING_RATE": 0.02}) == SEED.replace("RATE = 1e-3", "RATE = 2e-2")
    with pytest.raises(KnobError, match="no knob 'BATCH_SIZE'"):
        READER.bind(genome, {"BATCH_SIZE": 32})


def test_constants_of_a_scale_become_the_defaults() -> None:
    scaled = READER.rewrite(SEED, {"DIM": 512, "BATCH_SIZE": 64, "COMPILE": True})
    assert {knob.address: knob.default for knob in READER.read(scaled).knobs}["DIM"] == 512
    with pytest.raises(NotAllowed, match="no number at 'WIDTH'"):
        READER.rewrite(SEED, {"WIDTH": 512})


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("import time\n", "import os\n", "import of 'os' is not allowed"),
        ("x = self.fc(x)", "x = self.fc(x", "syntax"),
        ("evaluate_bpb(model, tokenizer, BATCH_SIZE)", "1.0", "'evaluate_bpb' is never called"),
        ("BETA1 = 0.9", "BETA1 = 0.9" + " + DEPTH" * 700, "nested too deeply"),
        ("BETA1 = 0.9", "BETA1 = 0.9" + " + 1" * 2500, "nested too deeply"),
        ("F.gelu(x)", "F.gelu(x)" + ".T" * 2500, "nested too deeply"),
        ("BETA1 = 0.9", "BETA1 = 0x" + "f" * 5000, "an integer has more than 4,300 decimal digits"),
        ("BETA1 = 0.9", "BETA1 = 0.9  # knob: around 0.9", "BETA1: cannot read the directive 'around 0.9'"),
    ],
)
def test_what_may_not_be_a_genome_is_refused_with_its_reason(old: str, new: str, reason: str) -> None:
    assert old in SEED
    with pytest.raises(NotAllowed, match=reason):
        READER.read(SEED.replace(old, new))
