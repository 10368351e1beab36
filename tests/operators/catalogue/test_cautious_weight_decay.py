"""`cautious_weight_decay`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import cautious_weight_decay
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed

DEFINED = cautious_weight_decay.CODE.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(cautious_weight_decay, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        '    undecayed = [[p.detach().clone() for p in group["params"]] for group in optimizer.param_groups]',
        "    give_back_decay(optimizer, undecayed)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(cautious_weight_decay, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(cautious_weight_decay, transformed(cautious_weight_decay, SCRIPTS["plain"]))
        == "weight decay is cautious already"
    )
