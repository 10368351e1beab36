"""`cautious_updates`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import cautious_updates
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = cautious_updates.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(cautious_updates, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        '    before = [p.detach().clone() for group in optimizer.param_groups for p in group["params"]]',
        "    take_back_uphill(optimizer, before)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(cautious_updates, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(cautious_updates, transformed(cautious_updates, SCRIPTS["plain"])) == "updates are cautious already"
