"""`embedding_learning_rate`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import embedding_learning_rate
from operators.catalogue._training import SPLIT_GROUPS
from tests.operators.catalogue.harness import OPTIMIZER, SCRIPTS, changed_lines, refusal, transformed

DEFINED = SPLIT_GROUPS.splitlines()


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(embedding_learning_rate, SCRIPTS["plain"]))
    assert gone == [OPTIMIZER]
    assert [line for line in new if line.strip() and line not in DEFINED] == [
        "EMBEDDING_LR_RATIO = 3.0  # knob: 0.3..30 log",
        "def embeddings(model):",
        "    return [p for part in model.modules() if isinstance(part, nn.Embedding) for p in part.parameters()]",
        "parameter_groups = split_groups(model.parameters(), embeddings(model), lr_ratio=EMBEDDING_LR_RATIO)",
        OPTIMIZER.replace("model.parameters()", "parameter_groups"),
        "    for group in optimizer.param_groups:",
        '        group["lr"] = group.setdefault("initial_lr", group["lr"]) * group.get("lr_ratio", 1.0)',
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(embedding_learning_rate, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "some parameter groups have a learning rate of their own already",
    }


def test_happens_once() -> None:
    assert (
        refusal(embedding_learning_rate, transformed(embedding_learning_rate, SCRIPTS["plain"]))
        == "the script already has a `EMBEDDING_LR_RATIO`"
    )
