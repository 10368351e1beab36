"""`sequence_length_schedule`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import sequence_length_schedule
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed

DEFINED = sequence_length_schedule.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(sequence_length_schedule, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        f"{IMPORTS}, progress",
        "SHORT_SEQUENCES_UNTIL = 0.3  # knob: 0.05..0.7",
        "SEQUENCE_PARTS = 2  # knob: 2|4|8",
        "    if progress() < SHORT_SEQUENCES_UNTIL:",
        "        length = x.shape[1] // SEQUENCE_PARTS",
        "        x, y = x.reshape(-1, length), y.reshape(-1, length)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(sequence_length_schedule, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(sequence_length_schedule, transformed(sequence_length_schedule, SCRIPTS["plain"]))
        == "the sequences grow already"
    )
