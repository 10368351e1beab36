"""Key and value heads that several query heads share."""

from __future__ import annotations

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import Statement, expression, insert_after, insert_definition, replace, text
from operators.catalogue._model import Attention, assigned, attention, body, callee, calls, refuse_if_used

FUNCTION = '''
def share_heads(x, heads, head_dim):
    """Key or value heads (B, T, fewer heads * head_dim), each repeated for the query heads that share it."""
    repeats = heads * head_dim // x.size(-1)
    return x.unflatten(-1, (-1, head_dim)).repeat_interleave(repeats, dim=-2).flatten(-2)
'''


def with_shared_heads(module: cst.Module, kv_heads: str) -> cst.Module:
    """The script with `kv_heads` (an expression) heads for keys and values, repeated to the number of query heads.

    Raises Refused unless queries, keys and values come from one linear layer each, or from one whose result is split.
    """
    refuse_if_used(module, "share_heads", "repeat_interleave", "enable_gqa")
    site = attention(module)
    width = site.head_dim if kv_heads == "1" else f"{kv_heads} * {site.head_dim}"
    joint = _assignment(module, _fused(site))
    if joint is not None and any(callee(c) == "split" for c in calls(joint)):
        module = _narrow_split(module, site, width)
    else:
        module = _narrow(_narrow(module, site.key, width), site.value, width)
    return insert_definition(module, FUNCTION, before=site.name)


def _narrow(module: cst.Module, name: str, width: str) -> cst.Module:
    """`name = ... self.key(x) ...` with a narrower layer, whose result is shared."""
    site = attention(module)
    statement = _assignment(module, name)
    found = [c for c in calls(statement) if callee(c) in site.linears] if statement else []
    if len(found) != 1:
        raise Refused(f"`{name}` in `{site.name}` is not the result of one linear layer")
    module = replace(module, found[0], expression(_shared(site, text(found[0]))))
    return replace(module, attention(module).linears[callee(found[0])].args[1].value, expression(width))


def _narrow_split(module: cst.Module, site: Attention, width: str) -> cst.Module:
    """`q, k, v = self.qkv(x).split(C, dim=2)` with narrower keys and values, which are shared."""
    layer, split = _split(module, site)
    queries = text(split.args[0].value)
    module = replace(module, split.args[0].value, expression(f"({queries}, {width}, {width})"))
    joint = expression(f"{site.width} + 2 * {width}")
    module = replace(module, attention(module).linears[layer].args[1].value, joint)
    statement = _assignment(module, _fused(site))
    assert statement is not None
    share = f"{site.key}, {site.value} = {_shared(site, site.key)}, {_shared(site, site.value)}"
    return insert_after(module, statement, share)


def _split(module: cst.Module, site: Attention) -> tuple[str, cst.Call]:
    """The layer of queries, keys and values, and the call that splits its result into three equal parts."""
    statement = _assignment(module, _fused(site))
    found = calls(statement) if statement else []
    layers = [callee(c) for c in found if callee(c) in site.linears]
    splits = [c for c in found if callee(c) == "split" and len(c.args) == 2]
    if len(layers) != 1 or len(splits) != 1 or isinstance(splits[0].args[0].value, cst.Tuple | cst.List):
        raise Refused(f"`{site.name}` does not split the result of one linear layer into three equal parts")
    return layers[0], splits[0]


def _assignment(module: cst.Module, target: str) -> Statement | None:
    """The first assignment to `target` in the forward pass of the attention."""
    return next((s for s in body(attention(module).forward) if (p := assigned(s)) and p[0] == target), None)


def _fused(site: Attention) -> str:
    return f"{site.query}, {site.key}, {site.value}"


def _shared(site: Attention, x: str) -> str:
    return f"share_heads({x}, {site.heads}, {site.head_dim})"
