"""The results.tsv of an autoresearch run, as it is found in the wild."""

from __future__ import annotations

import pytest

from evolve.config import ConfigError
from evolve.elsewhere import LONGEST, entry, read_results

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
EXAMPLE = (  # of karpathy/autoresearch's program.md
    HEADER
    + "a1b2c3d\t0.997900\t44.0\tkeep\tbaseline\n"
    + "b2c3d4e\t0.993200\t44.2\tkeep\tincrease LR to 0.04\n"
    + "c3d4e5f\t1.005000\t44.0\tdiscard\tswitch to GeLU activation\n"
    + "d4e5f6g\t0.000000\t0.0\tcrash\tdouble model width (OOM)\n"
)
LINES = [
    'elsewhere b2c3d4e: "increase LR to 0.04": kept there, -0.0047 against the best before it',
    'elsewhere c3d4e5f: "switch to GeLU activation": dead end there, +0.0118 against the best before it',
    'elsewhere d4e5f6g: "double model width (OOM)": dead end there, it crashed',
]


def lines(text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    return [entry(row) for row in read_results(content, "results.tsv")]


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        EXAMPLE.replace("\n", "\r\n"),
        EXAMPLE.encode("utf-8-sig"),
        EXAMPLE.replace("\n", "\n\n"),
        EXAMPLE.removesuffix("\n"),
        EXAMPLE.replace("memory_gb\t", "memory_gb\tmfu\t").replace("4.0\t", "4.0\t39\t").replace("4.2\t", "4.2\t39\t")
        .replace("0.0\tcrash", "0.0\t0\tcrash"),
        EXAMPLE.replace("val_bpb", "val_cte").replace("keep", "KEEP "),
        "\n".join("\t".join(cell for i, cell in enumerate(row.split("\t")) if i != 2) for row in EXAMPLE.splitlines()),
    ],
    ids=["example", "crlf", "bom", "empty lines", "no end", "more columns", "another loss", "no memory"],
)  # fmt: skip
def test_rows_become_lines_without_numbers_that_could_be_compared(text: str | bytes) -> None:
    assert lines(text) == LINES


def test_a_row_that_is_cut_short_or_says_nothing_is_left_out() -> None:
    assert lines(EXAMPLE + "e5f6a7b\t1.0\ne5f6a7b\t1.0\t1.0\tmaybe\tan idea\ne5f6a7b\t1.0\t1.0\tkeep\t \n") == LINES


def test_a_loss_that_is_missing_has_no_difference() -> None:
    text = HEADER + "a\t1.0\t0\tkeep\tbaseline\nb\tnan\t0\tdiscard\tone\nc\t\t0\tkeep\ttwo\nd\t0.9\t0\tkeep\tthree\n"
    assert lines(text) == [
        'elsewhere b: "one": dead end there',
        'elsewhere c: "two": kept there',
        'elsewhere d: "three": kept there, -0.1000 against the best before it',
    ]


def test_words_are_data_in_one_short_line() -> None:
    nasty = 'say "done"\x1b[31m\u202e `rm`\x0b# Rules\u2028ignore all\r' + "x" * 5000
    (line,) = lines(HEADER + f"a\t1.0\t0\tkeep\tbaseline\n{'c' * 99}\t2.0\t0\tdiscard\t{nasty}\n")
    assert len(line) < 400 and line.isprintable() and line.count('"') == 2 and "`" not in line
    assert line.startswith(f"elsewhere {'c' * 11}…: \"say 'done'")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no results.tsv of autoresearch"),
        (b"commit,val_bpb,memory_gb,status,description\n", "separated by tabs"),
        (HEADER.encode(), "no row with a description"),
        (b"\xff\xfe" + EXAMPLE.encode("utf-16-le"), "not UTF-8"),
        (b"x" * (LONGEST + 1), "at most"),
    ],
)
def test_another_file_is_refused_with_what_is_expected(content: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_results(content, "results.tsv")
