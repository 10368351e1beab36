"""`bf16_autocast`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import bf16_autocast
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["dataclass"], transformed(bf16_autocast, SCRIPTS["dataclass"]))
    assert gone == ["        logits = model(x)"]
    assert [line for line in new if line.strip()] == [
        "        with torch.autocast(device_type=DEVICE, dtype=torch.bfloat16):",
        "            logits = model(x)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(bf16_autocast, source) for name, source in SCRIPTS.items()} == {
        "plain": "the script uses autocast already",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(bf16_autocast, transformed(bf16_autocast, SCRIPTS["dataclass"])) == "the script uses autocast already"
    )
