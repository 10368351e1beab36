"""`normuon`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import normuon
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = normuon.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["autoresearch"], transformed(normuon, SCRIPTS["autoresearch"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "NORMUON_BETA2 = 0.95  # knob: 0.8..0.999",
        "                update = equalize_rows(update, state)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(normuon, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(normuon, transformed(normuon, SCRIPTS["autoresearch"])) == "the rows of updates are equalized already"
    )
