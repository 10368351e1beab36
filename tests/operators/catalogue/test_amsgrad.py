"""`amsgrad`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import amsgrad
from tests.operators.catalogue.harness import OPTIMIZER, SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(amsgrad, SCRIPTS["plain"]))
    assert gone == [OPTIMIZER]
    assert [line for line in new if line.strip()] == [
        OPTIMIZER.removesuffix(")") + ", amsgrad=True)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(amsgrad, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(amsgrad, transformed(amsgrad, SCRIPTS["plain"])) == "AdamW is told already whether to use AMSGrad"
