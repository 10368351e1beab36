"""`matmul_precision`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import matmul_precision
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(matmul_precision, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip()] == ['torch.set_float32_matmul_precision("high")']


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(matmul_precision, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(matmul_precision, transformed(matmul_precision, SCRIPTS["plain"]))
        == "the precision of matrix products is set already"
    )
