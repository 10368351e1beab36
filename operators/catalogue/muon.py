"""Replaces AdamW by Muon for the matrices of the blocks; everything else stays with AdamW.

Matrices of one shape are stacked and orthogonalised together, in the precision that they have. The update is scaled
by the matrix's size, so one learning rate serves both optimizers.
"""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Updates of the blocks' matrices whose singular values are all made equal use every direction of a matrix."
SOURCE = "Jordan et al. 2024, kellerjordan.github.io/posts/muon; scale of the update: Liu et al. 2025, arXiv:2502.16982"

CODE = '''
def orthogonalize(matrices):
    """Newton-Schulz iteration on a stack (N, rows, columns): all singular values come near 1."""
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(MUON_ITERATIONS):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.AdamW):
    """AdamW, but groups with `muon` take orthogonalised momentum steps, the matrices of one shape as one stack."""

    @torch.no_grad()
    def step(self):
        stepped = []
        for group in self.param_groups:
            shapes = {}
            for p in group["params"] if group.get("muon") else []:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
                    stepped.append((p, p.grad))
            for params in shapes.values():
                self.step_stack(params, group["lr"], group["weight_decay"])
        for p, _ in stepped:
            p.grad = None  # AdamW leaves out what has no gradient
        super().step()
        for p, grad in stepped:
            p.grad = grad

    def step_stack(self, params, lr, weight_decay):
        grads = torch.stack([p.grad for p in params])
        state = self.state[params[0]]
        velocity = state.setdefault("velocity", torch.zeros_like(grads)).lerp_(grads, 1.0 - MUON_MOMENTUM)
        update = orthogonalize(grads.lerp(velocity, MUON_MOMENTUM))
        scale = MUON_SCALE * max(grads.shape[1:]) ** 0.5
        for p, u in zip(params, update):
            p.mul_(1.0 - lr * weight_decay).add_(u, alpha=-lr * scale)
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the script has a Muon, or no AdamW, or no blocks."""
    if any("muon" in name.lower() for name in edit.names_in_use(module)):
        raise Refused("the script has Muon already")
    matrices = f"[p for p in model.{training.blocks_attribute(module)}.parameters() if p.ndim == 2]"
    module = training.define(module, training.adamw(module), CODE)
    module = training.split_groups(module, "block_matrices", matrices, "muon=True")
    module = edit.replace(module, training.adamw(module).func, edit.expression("Muon"))
    for name, value, knob in (
        ("MUON_SCALE", 0.2, "0.1..4.0 log"),
        ("MUON_MOMENTUM", 0.95, "0.8..0.98"),
        ("MUON_ITERATIONS", 5, "3..6"),
    ):
        module = edit.add_constant(module, name, value, f"knob: {knob}")
    return module
