"""What the training side of a script looks like: the optimizer, its step, the learning rate, the loop, the evaluation.

Recognisers go by pattern, not by name, and raise Refused where a script has none or several of what they look for.
The model's inside is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue._edit import Statement, text
from operators.catalogue._tree import find, path

STEP = m.SimpleStatementLine(
    body=[m.Expr(m.Call(func=m.Attribute(value=m.Name(), attr=m.Name("step")), args=[]))],
)
BACKWARD = m.SimpleStatementLine(body=[m.Expr(m.Call(func=m.Attribute(attr=m.Name("backward"))))])
CLIP = m.SimpleStatementLine(
    body=[m.Expr(m.Call(func=m.Attribute(attr=m.Name("clip_grad_norm_")) | m.Name("clip_grad_norm_")))],
)
EVALUATION = m.Call(func=m.Name(value=m.MatchIfTrue(lambda name: name.startswith("evaluate_"))))  # of any metric
_LR_ASSIGNMENT = m.Assign(
    targets=[m.AssignTarget(m.Subscript(slice=[m.SubscriptElement(m.Index(m.SimpleString('"lr"')))]))],
)
_ATOMS = (cst.Name, cst.Call, cst.Subscript, cst.Attribute)

EMBEDDINGS = "[p for part in model.modules() if isinstance(part, nn.Embedding) for p in part.parameters()]"
SPLIT_GROUPS = '''
def split_groups(params, chosen, **options):
    """Parameter groups, with the `chosen` parameters moved to groups of their own that have these options."""
    params, chosen = list(params), {id(p) for p in chosen}
    groups = []
    for group in params if isinstance(params[0], dict) else [{"params": params}]:
        apart = [p for p in group["params"] if id(p) in chosen]
        rest = [p for p in group["params"] if id(p) not in chosen]
        groups += [{**group, "params": rest}] if rest else []
        groups += [{**group, **options, "params": apart}] if apart else []
    return groups
'''


@dataclass(frozen=True)
class Step:
    """Where the optimizer steps.

    `line` is the statement `optimizer.step()`; `once` is what runs once an update: that line, or the loop over
    several optimizers round it. `groups` is an expression for all parameter groups.
    """

    line: Statement
    once: Statement
    optimizer: str
    groups: str


@dataclass(frozen=True)
class Loop:
    """The loop over batches `for ... (x, y, epoch) in ...`, with the names of inputs and targets."""

    node: cst.For
    inputs: str
    targets: str

    @property
    def first(self) -> Statement:
        """The first statement of the body."""
        statement = self.node.body.body[0]
        assert isinstance(statement, cst.SimpleStatementLine | cst.BaseCompoundStatement)
        return statement


def statement_of(module: cst.Module, node: cst.CSTNode) -> Statement:
    """The innermost statement that holds `node`."""
    kinds = cst.SimpleStatementLine | cst.BaseCompoundStatement
    return next(n for n in reversed(path(module, node)) if isinstance(n, kinds))


def outside_classes(module: cst.Module, pattern: m.BaseMatcherNode) -> list[cst.CSTNode]:
    """Nodes that match and are not part of a class."""
    return [node for part in module.body if not isinstance(part, cst.ClassDef) for node in find(part, pattern)]


def only(found: Sequence[cst.CSTNode], what: str) -> cst.CSTNode:
    """The one node found. Raises Refused otherwise."""
    if len(found) != 1:
        raise Refused(f"expected one {what} in the script, found {len(found)}")
    return found[0]


def optimizer_step(module: cst.Module) -> Step:
    """The one place where the optimizer, or each of a list of optimizers, takes its step."""
    line = only(outside_classes(module, STEP), "line `optimizer.step()`")
    assert isinstance(line, cst.SimpleStatementLine)
    optimizer = text(line.with_changes(leading_lines=[])).split(".step")[0]
    round_it = [node for node in path(module, line) if isinstance(node, cst.For)]
    if round_it and m.matches(round_it[-1], m.For(target=m.Name(optimizer), iter=m.Name())):
        loop = round_it[-1]
        groups = f"(group for {optimizer} in {text(loop.iter)} for group in {optimizer}.param_groups)"
        return Step(line, loop, optimizer, groups)
    return Step(line, line, optimizer, f"{optimizer}.param_groups")


def training_loop(module: cst.Module) -> Loop:
    """The loop over batches."""
    triple = m.Tuple(elements=[m.Element(m.Name()), m.Element(m.Name()), m.Element(m.Name())])
    target = triple | m.Tuple(elements=[m.Element(m.Name()), m.Element(triple)])
    node = only(outside_classes(module, m.For(target=target)), "loop over batches `(x, y, epoch)`")
    assert isinstance(node, cst.For)
    batch = find(node.target, triple)[0]
    assert isinstance(batch, cst.Tuple)
    inputs, targets, _ = (text(element.value) for element in batch.elements)
    return Loop(node, inputs, targets)


def adamw(module: cst.Module) -> cst.Call:
    """The construction of `torch.optim.AdamW`, or of a class of this script derived from it."""
    base = m.Attribute(attr=m.Name("AdamW")) | m.Name("AdamW")
    derived = find(module, m.ClassDef(bases=[m.Arg(base)]))
    names = {"AdamW", *(node.name.value for node in derived if isinstance(node, cst.ClassDef))}
    call = m.Call(func=base | m.Name(value=m.MatchIfTrue(lambda name: name in names)))
    node = only(outside_classes(module, call), "construction of AdamW")
    assert isinstance(node, cst.Call)
    if not node.args or node.args[0].keyword or node.args[0].star:
        raise Refused("the parameters are not the first argument of AdamW")
    return node


def keyword(call: cst.Call, name: str) -> cst.Arg | None:
    """The keyword argument `name` of a call."""
    return next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value == name), None)


def with_keyword(call: cst.Call, name: str, value: str) -> cst.Call:
    """`call` with `name=value` as its last argument."""
    *before, last = call.args
    comma = before[-1].comma if before else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    new = cst.Arg(edit.expression(value), keyword=cst.Name(name), equal=equal, comma=last.comma)
    new = new.with_changes(whitespace_after_arg=last.whitespace_after_arg)
    last = last.with_changes(comma=comma, whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(args=[*before, last, new])


def loss(module: cst.Module) -> cst.Call:
    """The cross-entropy of the training loss, computed outside the model from logits and targets."""
    pattern = m.Call(func=m.Attribute(attr=m.Name("cross_entropy")) | m.Name("cross_entropy"))
    node = only(outside_classes(module, pattern), "call of cross_entropy outside the model")
    assert isinstance(node, cst.Call)
    if len(node.args) < 2:
        raise Refused("cross_entropy is not called with logits and targets")
    return node


def evaluation(module: cst.Module) -> Statement:
    """The statement that calls for the score."""
    call = only(outside_classes(module, EVALUATION), "call of evaluate_...")
    return statement_of(module, call)


def model_name(module: cst.Module) -> str:
    """What the evaluated model is called."""
    call = only(outside_classes(module, EVALUATION), "call of evaluate_...")
    assert isinstance(call, cst.Call)
    if not call.args or not isinstance(call.args[0].value, cst.Name):
        raise Refused("the model is not a plain name in the call of evaluate_...")
    return call.args[0].value.value


def require_name(module: cst.Module, node: cst.CSTNode, name: str) -> None:
    """Raises Refused unless `name` is a parameter or variable of the function round `node`, or a top-level variable."""
    scopes: list[cst.CSTNode] = [n for n in path(module, node) if isinstance(n, cst.FunctionDef)]
    top = [part for part in module.body if not isinstance(part, cst.ClassDef | cst.FunctionDef)]
    bound = m.Param(name=m.Name(name)) | m.AssignTarget(target=m.Name(name))
    if not any(find(scope, bound) for scope in [*scopes, *top]):
        raise Refused(f"`{name}` is not known where it is needed")


def blocks_attribute(module: cst.Module) -> str:
    """The attribute of the model that holds its blocks: the `nn.ModuleList` of a class of this script."""
    classes = {part.name.value for part in module.body if isinstance(part, cst.ClassDef)}
    own = m.Call(func=m.Name(value=m.MatchIfTrue(lambda name: name in classes)))
    held = m.Assign(
        targets=[m.AssignTarget(m.Attribute(value=m.Name("self")))],
        value=m.Call(func=m.Attribute(attr=m.Name("ModuleList")) | m.Name("ModuleList")),
    )
    for node in find(module, held):
        assert isinstance(node, cst.Assign)
        if find(node.value, own):
            return text(node.targets[0].target).removeprefix("self.")
    raise Refused("no `nn.ModuleList` of blocks was found")


def define(module: cst.Module, near: cst.CSTNode, code: str) -> cst.Module:
    """Definitions added before the top-level function that holds `near`, else after the last definition before it."""
    place = next(i for i, part in enumerate(module.body) if path(part, near))
    holder = module.body[place]
    if isinstance(holder, cst.FunctionDef | cst.ClassDef):
        return edit.insert_definition(module, code, before=holder.name.value)
    earlier = [part for part in module.body[:place] if isinstance(part, cst.FunctionDef | cst.ClassDef)]
    if not earlier:
        raise Refused("the script defines nothing before its training loop")
    return edit.append_definition(module, code, after=earlier[-1].name.value)


def before_step(module: cst.Module, code: str) -> cst.Module:
    """Statements run once an update, before the optimizer steps; `{groups}` stands for all parameter groups."""
    step = optimizer_step(module)
    return edit.insert_before(module, step.once, code.replace("{groups}", step.groups))


def scale_learning_rate(module: cst.Module, factor: str) -> cst.Module:
    """Every learning rate times `factor`, an expression that may use `group`.

    Where the script assigns `group["lr"]` the assigned value is multiplied; where it does not, all groups are
    assigned before each step, from the rates that the optimizer was made with.
    """
    assignments = [node for node in outside_classes(module, _LR_ASSIGNMENT) if isinstance(node, cst.Assign)]
    if assignments:
        return edit.replace_all(module, {node: _times(node, factor) for node in assignments})
    return before_step(
        module,
        f'for group in {{groups}}:\n    group["lr"] = group.setdefault("initial_lr", group["lr"]) * {factor}',
    )


def _times(node: cst.Assign, factor: str) -> cst.Assign:
    """The assignment with its value multiplied; `group` in the factor is what is assigned to."""
    owner = text(cst.ensure_type(node.targets[0].target, cst.Subscript).value)
    factor = re.sub(r"\bgroup\b", lambda _: owner, factor)
    simple = isinstance(node.value, _ATOMS) or m.matches(node.value, m.BinaryOperation(operator=m.Multiply()))
    value = text(node.value) if simple else f"({text(node.value)})"
    return node.with_changes(value=edit.expression(f"{value} * {factor}"))


def split_groups(module: cst.Module, chosen: str, body: str, options: str) -> cst.Module:
    """Some parameters get their own groups with `options` (`key=value`) in AdamW.

    `chosen` names a new function of the model, and `body` is the expression for the parameters that it returns.
    """
    model, chosen = model_name(module), edit.fresh(module, chosen)
    require_name(module, adamw(module), model)
    module = define(module, adamw(module), f"def {chosen}(model):\n    return {body}\n")
    if "split_groups" not in edit.names_in_use(module):
        module = define(module, adamw(module), SPLIT_GROUPS)
    first = adamw(module).args[0]
    name = first.value.value if isinstance(first.value, cst.Name) else edit.fresh(module, "parameter_groups")
    line = f"{name} = split_groups({text(first.value)}, {chosen}({model}), {options})"
    module = edit.replace(module, first, first.with_changes(value=cst.Name(name)))
    return edit.insert_before(module, statement_of(module, adamw(module)), line)
