"""The MLP of a block, recognised in a class of its own or in a Sequential, and the exchange of its activation."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import expression, insert_definition, replace, statement, text
from operators.catalogue._model import Role, attention, block, callee, calls, roles
from operators.catalogue._tree import find

ACTIVATIONS = {"gelu", "relu", "silu", "leaky_relu", "elu", "selu", "mish", "hardswish", "relu6", "tanh"}
ACTIVATION_MODULES = {"GELU", "ReLU", "SiLU", "LeakyReLU", "ELU", "SELU", "Mish", "Hardswish", "ReLU6", "Tanh"}


@dataclass(frozen=True)
class FeedForward:
    """The MLP of a block: a class with a functional or modular activation, or a Sequential.

    `attribute` is its name in the block, `owner` the class that constructs its layers. `argument` is what the
    activation is called on, None where `activation` is the constructor of a module.
    """

    attribute: str
    owner: str
    expand: cst.Call
    contract: cst.Call
    contract_path: str
    activation: cst.BaseExpression
    argument: cst.BaseExpression | None

    @property
    def gated(self) -> bool:
        """Whether the second layer is narrower than the first one's result."""
        return text(self.expand.args[1].value) != text(self.contract.args[0].value)


def feed_forward(module: cst.Module) -> FeedForward:
    """The MLP of the block: two linear layers with one activation between them."""
    owner = block(module)
    classes = {role.name: role for role in roles(module)}
    for attribute, call in owner.modules.items():
        inner = classes.get(text(call.func))
        if callee(call) == "Sequential":
            found = _sequential(module, owner.name, attribute, call)
        else:
            found = _mlp_class(module, attribute, inner) if inner and attribute != owner.attention else None
        if found is not None:
            return found
    raise Refused("the block has no MLP of two linear layers with one activation between")


def _sequential(module: cst.Module, owner: str, attribute: str, call: cst.Call) -> FeedForward | None:
    layers = [arg.value for arg in call.args if isinstance(arg.value, cst.Call)]
    linears = [i for i, layer in enumerate(layers) if callee(layer) == "Linear"]
    active = [layer for layer in layers if callee(layer) in ACTIVATION_MODULES | _local_activations(module)]
    if len(linears) != 2 or len(active) != 1:
        return None
    first, last = linears
    path = f"{attribute}[{last}]"
    return FeedForward(attribute, owner, layers[first], layers[last], path, active[0], None)


def _mlp_class(module: cst.Module, attribute: str, role: Role) -> FeedForward | None:
    applied = [callee(c) for c in calls(role.forward) if callee(c) in role.linears]
    if len(applied) != 2:
        return None
    names = ACTIVATIONS | _local_activations(module)
    functional = [c for c in calls(role.forward) if callee(c) in names and len(c.args) >= 1]
    constructed = [c for c in role.modules.values() if callee(c) in ACTIVATION_MODULES | names]
    if len(functional) + len(constructed) != 1:
        return None
    activation = _squared(role.forward, functional[0]) if functional else constructed[0]
    argument = functional[0].args[0].value if functional else None
    expand, contract = (role.linears[name] for name in applied)
    path = f"{attribute}.{applied[1]}"
    return FeedForward(attribute, role.name, expand, contract, path, activation, argument)


def _squared(forward: cst.FunctionDef, call: cst.Call) -> cst.BaseExpression:
    """The square of `call` if the forward pass squares it, else `call`."""
    here: m.MatchIfTrue[cst.BaseExpression] = m.MatchIfTrue(lambda node: node is call)
    method = m.Call(func=m.Attribute(value=here, attr=m.Name("square") | m.Name("pow")))
    power = m.BinaryOperation(left=here, operator=m.Power(), right=m.Integer("2"))
    return next((n for n in find(forward, method | power) if isinstance(n, cst.BaseExpression)), call)


def _local_activations(module: cst.Module) -> set[str]:
    """Functions and classes of the script that are an activation: they call one, and no linear layer."""
    layers = {"Linear", "Embedding", *(role.name for role in roles(module))}
    found: set[str] = set()
    for node in module.body:
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            called = {callee(c) for c in calls(node)}
            if called & (ACTIVATIONS | ACTIVATION_MODULES | found) and not called & layers:
                found.add(node.name.value)
    return found


def residual_projections(module: cst.Module) -> list[str]:
    """The two layers of a block that write to the residual stream, as paths from the block.

    Raises Refused if some block lacks its MLP, that is, if the block asks whether it has one.
    """
    mlp = feed_forward(module)
    for comparison in find(block(module).forward, m.Comparison()):
        if text(cst.ensure_type(comparison, cst.Comparison).left) == f"self.{mlp.attribute}":
            raise Refused("some blocks have no MLP")
    return [f"{block(module).attention}.{attention(module).output}", mlp.contract_path]


def with_activation(module: cst.Module, function: str) -> cst.Module:
    """The script with `function`, source of a function of one tensor, as the activation of its MLP.

    A modular activation becomes a module that calls the function. Raises Refused if there is no MLP, or a gated one.
    """
    mlp = feed_forward(module)
    if mlp.gated:
        raise Refused("the MLP is gated: its activation halves the width")
    name = cst.ensure_type(statement(function.strip()), cst.FunctionDef).name.value
    if mlp.argument is not None:
        module = replace(module, mlp.activation, expression(f"{name}({text(mlp.argument)})"))
        return insert_definition(module, function, before=mlp.owner)
    cls = name.title().replace("_", "")
    wrapper = f"class {cls}(nn.Module):\n    def forward(self, x):\n        return {name}(x)\n"
    module = replace(module, mlp.activation, expression(f"{cls}()"))
    return insert_definition(module, function.strip() + "\n\n\n" + wrapper, before=mlp.owner)
