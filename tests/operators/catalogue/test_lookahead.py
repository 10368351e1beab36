"""`lookahead`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import lookahead
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = lookahead.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(lookahead, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "LOOKAHEAD_STEPS = 5  # knob: 2..20 log",
        "LOOKAHEAD_SHARE = 0.5  # knob: 0.2..0.9",
        '    lookahead.update([p for group in optimizer.param_groups for p in group["params"]])',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(lookahead, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(lookahead, transformed(lookahead, SCRIPTS["plain"])) == "the script has slow weights already"
