"""`weight_averaging`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import weight_averaging
from tests.operators.catalogue.harness import IMPORTS, SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(weight_averaging, SCRIPTS["plain"]))
    assert gone == [IMPORTS]
    assert [line for line in new if line.strip()] == [
        f"{IMPORTS}, progress",
        "AVERAGED_SHARE = 0.1  # knob: 0.02..0.5 log",
        "class WeightAverage:",
        '    """Mean of the weights over the last AVERAGED_SHARE of the budget."""',
        "        self.weights, self.count = None, 0",
        "    @torch.no_grad()",
        "    def update(self, model):",
        "        if progress() < 1.0 - AVERAGED_SHARE:",
        "            return",
        "        params = list(model.parameters())",
        "        if self.weights is None:",
        "            self.weights = [p.detach().clone() for p in params]",
        "        self.count += 1",
        "        torch._foreach_lerp_(self.weights, params, 1.0 / self.count)",
        "    @torch.no_grad()",
        "    def copy_to(self, model):",
        "        for p, average in zip(model.parameters(), self.weights or model.parameters()):",
        "            p.copy_(average)",
        "weight_average = WeightAverage()",
        "    weight_average.update(model)",
        "weight_average.copy_to(model)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(weight_averaging, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert (
        refusal(weight_averaging, transformed(weight_averaging, SCRIPTS["plain"]))
        == "the script evaluates an average of its weights already"
    )
