"""A program with its tuned numbers at another scale: what becomes the scale's, what is carried over, what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.assemble import read_seed
from evolve.config import load_target
from evolve.model import Number
from operators.genome import Reader
from operators.rescale import constants, rescale

TARGET = load_target(Path(__file__).parents[2] / "train_target")
HOME = read_seed(Reader(TARGET.rules_at("gpu")), TARGET, "gpu")
THERE = TARGET.scales["gpu-large"]["bindings"]
READER = Reader(TARGET.rules_at("gpu-large"))


def moved(source: str, **params: Number) -> tuple[dict[str, Number | bool], str]:
    """The constants of the text that is run at the larger scale, and the notes."""
    genome = Reader(TARGET.rules_at("gpu")).read(source)
    found = rescale(READER, genome, params, constants(HOME.source), THERE)
    return constants(READER.bind(found.genome, found.params)), "\n".join(found.notes)


def test_the_seed_program_becomes_that_of_the_other_scale() -> None:
    found = rescale(READER, HOME, {}, constants(HOME.source), THERE)
    assert READER.bind(found.genome, found.params) == read_seed(READER, TARGET, "gpu-large").source
    assert found.notes == ()


def test_tuned_numbers_stay_and_tuned_sizes_keep_their_ratio() -> None:
    numbers, notes = moved(HOME.source, LEARNING_RATE=2e-3, DEPTH=6, DIM=256, HEADS=2)
    assert numbers["LEARNING_RATE"] == 2e-3 and numbers["BATCH_SIZE"] == 32
    assert (numbers["DEPTH"], numbers["DIM"], numbers["HEADS"]) == (9, 384, 3)
    assert "DIM is 384 where the scale has 768, as 256 where it had 512" in notes and "BATCH_SIZE" not in notes


@pytest.mark.parametrize("scale", [name for name in TARGET.scales if name.endswith("-large")])
def test_every_size_that_may_be_tuned_is_carried_to_one_that_can_be_built(scale: str) -> None:
    at = scale.removesuffix("-large")
    seed = read_seed(Reader(TARGET.rules_at(at)), TARGET, at)
    reader = Reader(TARGET.rules_at(scale))
    there = {**constants(seed.source), **TARGET.scales[scale]["bindings"]}
    knobs = {knob.address: knob for knob in seed.knobs}
    for width in knobs["DIM"].values:
        for heads in knobs["HEADS"].values:
            found = rescale(reader, seed, {"DIM": width, "HEADS": heads}, constants(seed.source), there)
            built = constants(reader.bind(found.genome, found.params))
            assert built["DIM"] % (2 * built["HEADS"]) == 0, (width, heads, found.notes)


def test_what_an_edit_wrote_is_carried_over_like_what_was_tuned() -> None:
    numbers, notes = moved(HOME.source.replace("DEPTH = 8", "DEPTH = 4").replace("COMPILE = True", "COMPILE = False"))
    assert numbers["DEPTH"] == 6 and numbers["COMPILE"] is False
    assert "DEPTH is 6 where the scale has 12, as 4 where it had 8" in notes


def test_a_constant_that_is_fixed_there_keeps_its_ratio_too() -> None:
    numbers, _ = moved(HOME.source.replace("DEPTH = 8", "DEPTH = 4  # knob: fixed"))
    assert numbers["DEPTH"] == 6 and isinstance(numbers["DEPTH"], int)


def test_a_renamed_constant_keeps_its_own_size_which_is_said() -> None:
    numbers, notes = moved(HOME.source.replace("DEPTH", "N_BLOCKS"))
    assert numbers["N_BLOCKS"] == 8 and numbers["DIM"] == 768
    assert notes == "has no constant DEPTH: it keeps its own size there"


def test_a_number_that_no_longer_fits_becomes_the_nearest_that_does() -> None:
    numbers, notes = moved(HOME.source.replace("MLP_RATIO =", "HIDDEN = 2048\nMLP_RATIO ="), HIDDEN=1024)
    assert numbers["HIDDEN"] % (2 * 6) == 0, "heads of the larger scale divide every width"
    assert f"HIDDEN 1024 becomes {numbers['HIDDEN']}, the nearest that fits" in notes
    numbers, _ = moved(HOME.source.replace("MLP_RATIO =", "KV_HEADS = 2  # knob: 1|2\nMLP_RATIO ="), HEADS=2)
    assert numbers["HEADS"] % numbers["KV_HEADS"] == 0 and numbers["DIM"] % numbers["HEADS"] == 0
