"""Which seeds a command or a plan names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.comparison.runner import place_of
from benchmarks.comparison.seeds import seeds_of, seeds_text
from benchmarks.comparison.trace import FILE
from benchmarks.tasks.synthetic import TASK
from evolve.config import ConfigError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (1, 2, 3)),
        ("11-14", (11, 12, 13, 14)),
        ("7-7", (7,)),
        ("11,12,15", (11, 12, 15)),
        (" 20, 3-5 ", (20, 3, 4, 5)),
    ],
)
def test_a_number_is_how_many_and_a_range_or_a_list_says_which(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_of(text) == seeds
    assert seeds_of(f"{seeds_text(seeds)},99")[:-1] == tuple(sorted(seeds))


@pytest.mark.parametrize("text", ["", "0", "-3", "0-3", "5-3", "1-", "a", "1.5", "1,,2", "3,3", "1-5,4", "1-2-3", "٣"])
def test_nonsense_is_refused_with_what_can_be_given(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no seeds: .*a range \(11-20\) or a list \(11,12,15\)"):
        seeds_of(text)


def test_the_command_runs_the_seeds_that_are_named_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--methods", "seed", "--tasks", "synthetic", "--budget", "60", "--jobs", "1", "-o", str(tmp_path)]
    assert main([*command, "--seeds", "4,7-8"]) == 0
    assert sorted(tmp_path.glob(f"*/*/*/{FILE}")) == [place_of("seed", TASK, s, tmp_path) / FILE for s in (4, 7, 8)]
    assert main([*command, "--seeds", "8-7"]) == 2 and "no seeds: '8-7'" in capsys.readouterr().err
