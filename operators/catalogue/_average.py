"""What the averages of weights share: an object that follows the model and replaces its weights for the evaluation."""

from __future__ import annotations

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

_CODE = '''
class WeightAverage:
    """{doc}"""

    def __init__(self):
        self.weights, self.count = None, 0

    @torch.no_grad()
    def update(self, model):
        {update}

    @torch.no_grad()
    def copy_to(self, model):
        for p, average in zip(model.parameters(), self.weights or model.parameters()):
            p.copy_(average)


weight_average = WeightAverage()
'''


def evaluate_average(module: cst.Module, doc: str, update: str) -> cst.Module:
    """The evaluated weights become an average, kept by the statements `update` after each step of the optimizer.

    Raises Refused if the script evaluates an average already.
    """
    if "weight_average" in edit.names_in_use(module):
        raise Refused("the script evaluates an average of its weights already")
    model = training.model_name(module)
    step = training.optimizer_step(module).once
    training.require_name(module, step, model)
    body = update.strip().replace("\n", "\n        ")
    module = training.define(module, step, _CODE.format(doc=doc, update=body))
    module = edit.insert_after(module, training.optimizer_step(module).once, f"weight_average.update({model})")
    return edit.insert_before(module, training.evaluation(module), f"weight_average.copy_to({model})")
