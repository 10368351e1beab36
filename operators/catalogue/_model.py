"""Who is who in the model of a training script, recognised by what the code does and not by what it is called.

The attention class compares queries with keys, the block constructs it, the model loops over the blocks. A recogniser
raises Refused where its pattern does not occur. Nodes belong to the tree that was asked: after an edit, ask again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import Statement, insert_after, names_in_use, text
from operators.catalogue._tree import names, path, walk


@dataclass(frozen=True)
class Role:
    """A class with its constructor and its forward pass; `modules` are the constructor calls by attribute."""

    name: str
    init: cst.FunctionDef
    forward: cst.FunctionDef
    modules: dict[str, cst.Call]

    @property
    def linears(self) -> dict[str, cst.Call]:
        return {attribute: call for attribute, call in self.modules.items() if callee(call) == "Linear"}

    @property
    def input(self) -> str:
        """Name of the first argument of `forward`."""
        return self.forward.params.params[1].name.value


@dataclass(frozen=True)
class Attention(Role):
    """The class that compares queries with keys.

    At `score`, a statement of `forward`, the names `query`, `key` and `value` hold (B, heads, T, head_dim); `mixed` is
    the expression of the values mixed by the weights, in the same shape. `output` is the projection to the residual
    stream. `width` is an expression that holds in the constructor, `heads` and `head_dim` hold anywhere in the class.
    """

    score: Statement
    query: str
    key: str
    value: str
    mixed: cst.BaseExpression
    output: str
    width: str
    heads: str
    head_dim: str


@dataclass(frozen=True)
class Block(Role):
    """The class that constructs the attention, which it calls `attention`."""

    attention: str


@dataclass(frozen=True)
class Model(Role):
    """The class that constructs the blocks and owns the embedding `tokens` (looked up at `lookup`) and the `head`."""

    tokens: str
    lookup: cst.Call
    head: str


@dataclass(frozen=True)
class Layers:
    """The loop over the blocks in the model's forward pass: `stream = block(stream, ...)` at `step`.

    `container` is the expression of the blocks, `index` the name of the layer's number if the loop counts.
    """

    loop: cst.For
    step: Statement
    block: str
    stream: str
    container: str
    index: str | None


@dataclass(frozen=True)
class Branch:
    """`stream + branch` in a block, which is assigned to the stream or returned by `statement`."""

    statement: Statement
    total: cst.BinaryOperation
    stream: str
    branch: cst.Call


# ---------------------------------------------------------------------------------------------
# Reading a tree


def callee(call: cst.Call) -> str:
    """Last part of the name that is called: `Linear` for `nn.Linear(...)`."""
    match call.func:
        case (cst.Name() as name) | cst.Attribute(attr=name):
            return name.value
        case function:
            return text(function).rpartition(".")[2]


@lru_cache(maxsize=1024)  # nodes are immutable, and equal only to themselves
def calls(node: cst.CSTNode) -> tuple[cst.Call, ...]:
    """Every call in `node`, in the order of evaluation."""
    return tuple(found for found in walk(node) if isinstance(found, cst.Call))


def factor(node: cst.BaseExpression) -> str:
    """The source of `node`, in parentheses unless it can stand in a product."""
    multiplicative = m.BinaryOperation(operator=m.Multiply() | m.FloorDivide() | m.Divide())
    plain = m.matches(node, m.Name() | m.Attribute() | m.Integer() | m.Call() | multiplicative) or node.lpar
    return text(node) if plain else f"({text(node)})"


def refuse_if_used(module: cst.Module, *names: str) -> None:
    """Raises Refused if the script uses one of `names`: the transformation was applied, or would collide."""
    for name in sorted(names_in_use(module) & set(names)):
        raise Refused(f"the script already uses the name `{name}`")


def body(node: cst.FunctionDef | cst.For) -> list[Statement]:
    """The statements of a function or of a loop."""
    return [s for s in node.body.body if isinstance(s, cst.SimpleStatementLine | cst.BaseCompoundStatement)]


def enclosing_statement(function: cst.FunctionDef, node: cst.CSTNode) -> Statement:
    """The top-level statement of `function` that contains `node`."""
    return next(s for s in body(function) if path(s, node))


def append_to(module: cst.Module, function: cst.FunctionDef, code: str) -> cst.Module:
    """`code` as the last statements of `function`."""
    return insert_after(module, body(function)[-1], code)


def assigned(statement: cst.CSTNode) -> tuple[str, cst.BaseExpression] | None:
    """(target, value) of the statement `target = value` with a single target."""
    if not m.matches(statement, m.SimpleStatementLine(body=[m.Assign(targets=[m.AssignTarget()])])):
        return None
    assign = cst.ensure_type(cst.ensure_type(statement, cst.SimpleStatementLine).body[0], cst.Assign)
    return text(assign.targets[0].target), assign.value


# ---------------------------------------------------------------------------------------------
# Classes


@lru_cache(maxsize=8)  # trees are immutable, and equal only to themselves
def roles(module: cst.Module) -> list[Role]:
    """The classes of the script that have a constructor and a forward pass with an input."""
    found = []
    for cls in module.body:
        if isinstance(cls, cst.ClassDef):
            methods = {f.name.value: f for f in cls.body.body if isinstance(f, cst.FunctionDef)}
            if {"__init__", "forward"} <= set(methods) and len(methods["forward"].params.params) > 1:
                init = methods["__init__"]
                found.append(Role(cls.name.value, init, methods["forward"], _constructed(init)))
    return found


def _constructed(init: cst.FunctionDef) -> dict[str, cst.Call]:
    pairs = [pair for s in body(init) if (pair := assigned(s)) and pair[0].startswith("self.")]
    return {target.removeprefix("self."): value for target, value in pairs if isinstance(value, cst.Call)}


@lru_cache(maxsize=8)
def attention(module: cst.Module) -> Attention:
    """The attention class: fused `scaled_dot_product_attention`, or a softmax written out."""
    for role in roles(module):
        site = _fused(module, role.forward) or _written_out(role.forward)
        applied = [callee(c) for c in calls(role.forward) if callee(c) in role.linears]
        if site is None or not applied:
            continue
        query, key, value, score, mixed = site
        width, heads, head_dim = _head_shape(module, role)
        statement = enclosing_statement(role.forward, score)
        return Attention(
            **vars(role), score=statement, query=query, key=key, value=value, mixed=mixed, output=applied[-1],
            width=width, heads=heads, head_dim=head_dim,
        )  # fmt: skip
    raise Refused("no class compares named queries with named keys, each (B, heads, T, head_dim)")


_Site = tuple[str, str, str, cst.BaseExpression, cst.BaseExpression]


def _fused(module: cst.Module, forward: cst.FunctionDef) -> _Site | None:
    """`scaled_dot_product_attention(q, k, v, ...)`, or a function of the script around it."""
    fused = "scaled_dot_product_attention"
    functions = [node for node in module.body if isinstance(node, cst.FunctionDef)]
    around = {f.name.value for f in functions if any(callee(c) == fused for c in calls(f))}
    for call in calls(forward):
        names = [arg.value.value for arg in call.args[:3] if isinstance(arg.value, cst.Name)]
        if callee(call) in {fused, *around} and len(names) == 3:
            return names[0], names[1], names[2], call, call
    return None


def _written_out(forward: cst.FunctionDef) -> _Site | None:
    """`q @ k.transpose(-2, -1)`, softmax, `weights @ v`."""
    if not any(callee(c) == "softmax" for c in calls(forward)):
        return None
    transposed = m.Call(func=m.Attribute(value=m.Name(), attr=m.Name("transpose"))) | m.Attribute(
        value=m.Name(), attr=m.Name("mT")
    )
    products = [node for node in walk(forward) if isinstance(node, cst.BinaryOperation)]
    products = [node for node in products if m.matches(node, m.BinaryOperation(m.Name(), m.MatrixMultiply()))]
    compare = [node for node in products if m.matches(node.right, transposed)]
    mix = [node for node in products if isinstance(node.right, cst.Name)]
    if len(compare) != 1 or len(mix) != 1:
        return None
    score, mixed = compare[0], mix[0]
    key = score.right.func if isinstance(score.right, cst.Call) else score.right
    key_name = text(cst.ensure_type(key, cst.Attribute).value)
    return text(score.left), key_name, text(mixed.right), score, mixed


def _head_shape(module: cst.Module, role: Role) -> tuple[str, str, str]:
    """(width, heads, head_dim) from the first projection and from a `view(B, T, heads, head_dim)` in the class."""
    width = text(next(iter(role.linears.values())).args[0].value)
    cls = next(c for c in module.body if isinstance(c, cst.ClassDef) and c.name.value == role.name)
    for call in calls(cls):
        if callee(call) in {"view", "reshape"} and len(call.args) == 4:
            heads, head_dim = (arg.value for arg in call.args[2:])
            if _holds_in_class(module, heads):
                shown = _holds_in_class(module, head_dim)
                return width, text(heads), text(head_dim) if shown else f"{width} // {text(heads)}"
            if _holds_in_class(module, head_dim):
                return width, f"{width} // {text(head_dim)}", text(head_dim)
    raise Refused(f"`{role.name}` nowhere says `view(B, T, heads, head_dim)`")


def _holds_in_class(module: cst.Module, node: cst.BaseExpression) -> bool:
    """Whether an expression is made of attributes of self and of constants of the module."""
    if m.matches(node, m.UnaryOperation()) or isinstance(node, cst.Attribute):
        return text(node).startswith("self.")
    return set(names(node)) <= {pair[0] for s in module.body if (pair := assigned(s))}


def append_to_init(module: cst.Module, role: Role, code: str) -> cst.Module:
    """`code` as the last statements of the constructor of a class, which may have changed since it was recognised."""
    return append_to(module, next(r for r in roles(module) if r.name == role.name).init, code)


@lru_cache(maxsize=8)
def block(module: cst.Module) -> Block:
    """The class that constructs the attention."""
    inner = attention(module).name
    for role in roles(module):
        for attribute, call in role.modules.items():
            if text(call.func) == inner:
                return Block(**vars(role), attention=attribute)
    raise Refused(f"no class constructs `{inner}`")


@lru_cache(maxsize=8)
def model(module: cst.Module) -> Model:
    """The class that constructs the blocks, embeds the tokens and has a head."""
    inner = block(module).name
    for role in roles(module):
        if not any(callee(c) == inner for c in calls(role.init)):
            continue
        lookups = [c for c in calls(role.forward) if c.args and text(c.args[0].value) == role.input]
        tokens = [(a, c) for c in lookups if (a := callee(c)) in embeddings(role)]
        heads = [callee(c) for c in calls(role.forward) if callee(c) in role.linears]
        if tokens and heads:
            return Model(**vars(role), tokens=tokens[0][0], lookup=tokens[0][1], head=heads[-1])
    raise Refused(f"no class constructs `{inner}` and owns a token embedding and a head")


def embeddings(role: Role) -> dict[str, cst.Call]:
    """Constructors of embeddings, of the library's class or of one that is called after it, by attribute."""
    return {attribute: call for attribute, call in role.modules.items() if callee(call).endswith("Embedding")}


def layers(module: cst.Module) -> Layers:
    """The loop over the blocks."""
    for loop in body(model(module).forward):
        if not isinstance(loop, cst.For):
            continue
        counted = m.matches(loop.iter, m.Call(func=m.Name("enumerate"), args=[m.Arg()]))
        names = text(loop.target).split(", ")
        container = text(cst.ensure_type(loop.iter, cst.Call).args[0].value) if counted else text(loop.iter)
        for step in body(loop):
            pair = assigned(step)
            if pair and isinstance(pair[1], cst.Call) and text(pair[1].func) == names[-1]:
                return Layers(loop, step, names[-1], pair[0], container, names[0] if counted else None)
    raise Refused("the model has no loop over its blocks of the form `x = block(x)`")


def branches(module: cst.Module) -> list[Branch]:
    """The residual branches of the block: statements `x = x + f(...)` or `return x + f(...)`, in order."""
    found = []
    for statement in body(block(module).forward):
        if not m.matches(statement, m.SimpleStatementLine(body=[m.Assign() | m.Return()])):
            continue
        small = cst.ensure_type(statement, cst.SimpleStatementLine).body[0]
        total = small.value if isinstance(small, cst.Assign | cst.Return) else None
        if isinstance(total, cst.BinaryOperation) and m.matches(total, m.BinaryOperation(m.Name(), m.Add(), m.Call())):
            found.append(Branch(statement, total, text(total.left), cst.ensure_type(total.right, cst.Call)))
    return found


def after_initialisation(module: cst.Module, code: str) -> cst.Module:
    """`code` run when the weights of the model have their first values; `self` is the model.

    That is the end of its constructor, or of the method for initial weights if the script calls one from outside.
    """
    role = model(module)
    cls = next(c for c in module.body if isinstance(c, cst.ClassDef) and c.name.value == role.name)
    called = {callee(c) for s in module.body if s is not cls for c in calls(s)}
    methods = [f for f in cls.body.body if isinstance(f, cst.FunctionDef)]
    late = [f for f in methods if "init" in f.name.value and f.name.value in called and f is not role.init]
    return append_to(module, late[0] if late else role.init, code)
