"""`parameter_groups`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import parameter_groups
from operators.catalogue._training import SPLIT_GROUPS
from tests.operators.catalogue.harness import OPTIMIZER, SCRIPTS, changed_lines, refusal, transformed

DEFINED = SPLIT_GROUPS.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(parameter_groups, SCRIPTS["plain"]))
    assert gone == [OPTIMIZER]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "def undecayed(model):",
        "    return [p for part in model.modules() for p in part.parameters(recurse=False) if "
        "p.ndim < 2 or isinstance(part, nn.Embedding)]",
        "parameter_groups = split_groups(model.parameters(), undecayed(model), weight_decay=0.0)",
        OPTIMIZER.replace("model.parameters()", "parameter_groups"),
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(parameter_groups, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "AdamW decays nothing",
    }


def test_happens_once() -> None:
    assert (
        refusal(parameter_groups, transformed(parameter_groups, SCRIPTS["plain"]))
        == "norms, biases and embeddings are not decayed already"
    )
