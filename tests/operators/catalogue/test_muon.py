"""`muon`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import muon
from operators.catalogue._training import SPLIT_GROUPS
from tests.operators.catalogue.harness import OPTIMIZER, SCRIPTS, changed_lines, refusal, transformed

DEFINED = (muon.CODE + SPLIT_GROUPS).splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(muon, SCRIPTS["plain"]))
    assert gone == [
        OPTIMIZER,
    ]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "MUON_SCALE = 0.2  # knob: 0.1..4.0 log",
        "MUON_MOMENTUM = 0.95  # knob: 0.8..0.98",
        "MUON_ITERATIONS = 5  # knob: 3..6",
        "def block_matrices(model):",
        "    return [p for p in model.blocks.parameters() if p.ndim == 2]",
        "parameter_groups = split_groups(model.parameters(), block_matrices(model), muon=True)",
        OPTIMIZER.replace("torch.optim.AdamW(model.parameters()", "Muon(parameter_groups"),
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(muon, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "the script has Muon already",
    }


def test_happens_once() -> None:
    assert refusal(muon, transformed(muon, SCRIPTS["plain"])) == "the script has Muon already"
