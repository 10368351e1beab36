"""`batch_size_schedule`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import batch_size_schedule
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed

DEFINED = batch_size_schedule.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(batch_size_schedule, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        f"{IMPORTS}, progress",
        "SMALL_BATCH_UNTIL = 0.3  # knob: 0.05..0.7",
        "SMALL_BATCH_PARTS = 2  # knob: 2|4|8",
        "    if progress() < SMALL_BATCH_UNTIL:",
        "        rows = max(1, len(x) // SMALL_BATCH_PARTS)",
        "        x, y = x[:rows], y[:rows]",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(batch_size_schedule, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(batch_size_schedule, transformed(batch_size_schedule, SCRIPTS["plain"])) == "the batch grows already"
