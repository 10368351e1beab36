"""`ema`: before and after on one script, which scripts it takes, and that it happens once."""

from operators.catalogue import ema
from tests.operators.catalogue.harness import SCRIPTS, changed_lines, refusal, transformed


def test_changes_these_lines_and_no_others() -> None:
    gone, new = changed_lines(SCRIPTS["plain"], transformed(ema, SCRIPTS["plain"]))
    assert gone == []
    assert [line for line in new if line.strip()] == [
        "EMA_RATE = 0.02  # knob: 0.001..0.3 log",
        "class WeightAverage:",
        '    """Exponential moving average of the weights."""',
        "        self.weights, self.count = None, 0",
        "    @torch.no_grad()",
        "    def update(self, model):",
        "        params = list(model.parameters())",
        "        if self.weights is None:",
        "            self.weights = [p.detach().clone() for p in params]",
        "        self.count += 1",
        "        torch._foreach_lerp_(self.weights, params, max(EMA_RATE, 1.0 / self.count))",
        "    @torch.no_grad()",
        "    def copy_to(self, model):",
        "        for p, average in zip(model.parameters(), self.weights or model.parameters()):",
        "            p.copy_(average)",
        "weight_average = WeightAverage()",
        "    weight_average.update(model)",
        "weight_average.copy_to(model)",
    ]


def test_applies_to_these_scripts_and_says_why_not_to_others() -> None:
    assert {name: refusal(ema, source) for name, source in SCRIPTS.items()} == {
        "plain": "",
        "dataclass": "",
        "autoresearch": "",
    }


def test_happens_once() -> None:
    assert refusal(ema, transformed(ema, SCRIPTS["plain"])) == "the script evaluates an average of its weights already"
