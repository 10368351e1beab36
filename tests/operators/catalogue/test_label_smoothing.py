"""`label_smoothing`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import label_smoothing
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(label_smoothing, SCRIPTS["plain"]))
    assert gone == ["        loss = F.cross_entropy(logits.view(-1, vocab_size).float(), y.view(-1))"]
    assert [line for line in new if line.strip()] == [
        "LABEL_SMOOTHING = 0.02  # knob: 0.001..0.2 log",
        "        loss = F.cross_entropy(logits.view(-1, vocab_size).float(), y.view(-1), "
        "label_smoothing=LABEL_SMOOTHING)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(label_smoothing, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(label_smoothing, transformed(label_smoothing, SCRIPTS["plain"])) == "targets are smoothed already"
