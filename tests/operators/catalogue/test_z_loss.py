"""`z_loss`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import z_loss
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(z_loss, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip()] == [
        "Z_LOSS = 0.0001  # knob: 1e-6..1e-2 log",
        "        loss = loss + Z_LOSS * logits.view(-1, vocab_size).float().logsumexp(dim=-1).square().mean()",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(z_loss, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(z_loss, transformed(z_loss, SCRIPTS["plain"])) == "the normaliser is penalised already"
