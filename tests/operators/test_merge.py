"""Three-way merge: crossovers of real scripts, what is a conflict, and laws over random versions."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.model import Rules
from operators.guard import check
from operators.merge import MergeError, merge
from operators.names import premature, undefined
from operators.references import references
from operators.tree import addresses, read
from tests.operators.strategies import AUTORESEARCH, DATACLASS, SEED, scripts, versions

RULES = Rules(protected=("evaluate_bpb",), imports=("torch", "math", "time", "prepare"), contract=("evaluate_bpb",))


def changed(source: str, *replacements: tuple[str, str]) -> str:
    """`source` with texts replaced, each of which must occur."""
    for old, new in replacements:
        assert old in source, old
        source = source.replace(old, new, 1)
    return source


ROTARY = changed(
    SEED,
    ("COMPILE = False", "ROPE_BASE = 10_000\nCOMPILE = False"),
    ("class Attention", "def rotate(x):\n    return x * math.cos(ROPE_BASE)\n\n\nclass Attention"),
    ("        y = F.scaled", "        q, k = rotate(q), rotate(k)\n        y = F.scaled"),
    ("import time\n", "import math\nimport time\n"),
)
SCHEDULE = changed(
    SEED,
    ("COMPILE = False", "WARMUP = 0.1\nCOMPILE = False"),
    ("evaluate_bpb, make_dataloader", "evaluate_bpb, make_dataloader, progress"),
    ("torch.optim.AdamW(", "torch.optim.NAdam("),
    ("def train_step", "def rate():\n    return LEARNING_RATE * min(1.0, progress() / WARMUP)\n\n\ndef train_step"),
    ("    loss = train_step(x, y)\n", '    optimizer.param_groups[0]["lr"] = rate()\n    loss = train_step(x, y)\n'),
)
LAYERED = changed(
    SEED,
    ("(self):\n        super().__init__()\n        self.norm1",
     "(self, layer):\n        super().__init__()\n        self.scale = 1 / (layer + 1)\n        self.norm1"),
    ("x = x + self.attn(self.norm1(x))", "x = x + self.scale * self.attn(self.norm1(x))"),
    ("Block() for _ in range(DEPTH)", "Block(layer) for layer in range(DEPTH)"),
)  # fmt: skip


def sound(source: str) -> bool:
    """Whether a version of the seed compiles and refers to nothing that it lacks."""
    compile(source, "<merged>", "exec")
    found = references(source)
    inherited = references(SEED).missing.keys()
    return not (undefined(source) or premature(source) or found.misfits or found.missing.keys() - inherited)


def test_rotary_attention_meets_a_new_optimizer_and_schedule():
    child = merge(SEED, ROTARY, SCHEDULE)
    assert child.conflicts == () and check(child.source, RULES) is None
    for text in ("import math", "ROPE_BASE = 10_000", "rotate(q)", "NAdam", "WARMUP = 0.1", "= rate()", "progress\n"):
        assert text in child.source
    assert child.origins["ROPE_BASE"] == child.origins["Attention.forward"] == "left"
    assert child.origins["WARMUP"] == child.origins["rate"] == child.origins["@training_loop"] == "right"
    assert child.origins["MLP.forward"] == "base" and child.origins["@imports"] == "both"
    assert not child.equals(ROTARY) and not child.equals(SCHEDULE)


def test_a_changed_signature_and_an_edit_of_the_same_class():
    right = changed(SEED, ("x = x + self.mlp(self.norm2(x))", "x = x + 0.5 * self.mlp(self.norm2(x))"))
    child = merge(SEED, LAYERED, right)
    assert child.conflicts == () and sound(child.source)
    assert "self.scale * self.attn" in child.source and "0.5 * self.mlp" in child.source
    assert child.origins["Block.forward"] == "both" and child.origins["Block.__init__"] == "left"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_signature_and_its_calls_move_as_one(side):
    right = changed(SEED, ("[Block() for _ in range(DEPTH)]", "[Block() for _ in range(2 * DEPTH)]"))
    child = merge(SEED, LAYERED, right, lambda address: side)
    assert [c.address for c in child.conflicts] == ["GPT.__init__"] and sound(child.source)
    assert ("def __init__(self, layer)" in child.source) == ("Block(layer)" in child.source) == (side == "left")
    assert ("self.scale" in child.source) == (side == "left")


def test_a_new_call_of_the_old_signature_is_a_conflict():
    right = changed(SEED, ("        self.norm = nn", "        self.last = Block()\n        self.norm = nn"))
    child = merge(SEED, LAYERED, right)
    assert [c.address for c in child.conflicts] == ["Block.__init__"]
    assert "Block() does not fit" in child.conflicts[0].reason
    for side in ("left", "right"):
        assert sound(merge(SEED, LAYERED, right, lambda address, side=side: side).source)


def test_both_changed_a_number():
    left, right = (changed(SEED, ("DEPTH = 2", f"DEPTH = {n}")) for n in (3, 4))
    child = merge(SEED, left, right)
    (conflict,) = child.conflicts
    assert (conflict.address, conflict.base[:9], conflict.left[:9], conflict.right[:9]) == (
        "DEPTH", "DEPTH = 2", "DEPTH = 3", "DEPTH = 4",
    )  # fmt: skip
    assert child.source == left
    assert merge(SEED, left, right, lambda address: "right").equals(right)


def test_neighbouring_statements_merge():
    left = changed(SEED, ("self.qkv = nn.Linear(DIM, 3 * DIM)", "self.qkv = nn.Linear(DIM, 3 * DIM, bias=False)"))
    right = changed(SEED, ("self.proj = nn.Linear(DIM, DIM)", "self.proj = nn.Linear(DIM, DIM, bias=False)"))
    child = merge(SEED, left, right)
    assert child.conflicts == () and child.source.count("DIM, bias=False)") == 2


def test_independent_insertions_in_one_place_are_both_kept_dependent_ones_are_not():
    spot = "        self.proj = nn.Linear(DIM, DIM)\n"
    left = changed(SEED, (spot, f"{spot}        self.gate = nn.Linear(DIM, 1)\n"))
    right = changed(SEED, (spot, f"{spot}        self.norm = nn.LayerNorm(DIM)\n"))
    child = merge(SEED, left, right)
    assert child.conflicts == () and "self.gate = nn.Linear(DIM, 1)\n        self.norm = nn" in child.source
    again = changed(SEED, (spot, f"{spot}        self.gate = nn.Linear(DIM, HEADS)\n"))
    assert [c.address for c in merge(SEED, left, again).conflicts] == ["Attention.__init__"]


def test_definitions_inserted_in_one_place_never_clash():
    left, right = (
        changed(SEED, ("class MLP", f"def {name}(x):\n    y = x\n    return y\n\n\nclass MLP"), ("F.gelu", name))
        for name in ("one", "two")
    )
    child = merge(SEED, left, right)
    assert [c.address for c in child.conflicts] == ["MLP.forward"]
    assert "def one(" in child.source and "def two(" in child.source


STEP = "def step():\n    zero()\n    loss.backward()\n    clip(CLIP)\n    optimizer.step()\n    return loss\n"
BRANCH = "    if next(count) % 2:\n        clip(CLIP)\n        optimizer.step()\n        zero()\n    return loss\n"
MOVED = f"def step():\n    loss.backward()\n{BRANCH}"


@pytest.mark.parametrize(
    "other",
    [
        STEP.replace("    clip(CLIP)\n", ""),
        STEP.replace("    zero()\n", "").replace("    return", "    zero()\n    return"),
        STEP.replace("step()\n    return", "step()\n    average.update()\n    return"),
        STEP.replace("    optimizer", "    old = copies()\n    optimizer"),
    ],
    ids=["deleted", "moved elsewhere", "something behind", "something before"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_what_one_side_moves_into_a_branch_clashes_with_plans_of_the_other(other, turned):
    sides = (other, MOVED) if turned else (MOVED, other)
    assert merge(STEP, *sides).source == sides[0]
    assert [c.address for c in merge(STEP, *sides).conflicts] == ["step"]


def test_a_move_merges_with_changes_elsewhere():
    merged = merge(STEP, MOVED, STEP.replace("return loss", "return loss.detach()"))
    assert merged.conflicts == ()
    assert merged.source == MOVED.replace("return loss", "return loss.detach()")


def test_a_statement_both_changed_is_a_conflict_of_its_function():
    left, right = (changed(SEED, ("x = F.gelu(x)", f"x = F.{name}(x)")) for name in ("relu", "silu"))
    child = merge(SEED, left, right)
    assert [(c.address, c.right) for c in child.conflicts] == [("MLP.forward", read(right, "MLP.forward"))]


def test_statements_of_a_region_merge_and_clash_one_by_one():
    left = changed(SEED, ("tokens = 0\n", "tokens = 1\n"), ("start = time.perf_counter()", "start = time.time()"))
    right = changed(SEED, ("tokens = 0\n", "tokens = 2\n"), ("step % 25", "step % 50"))
    child = merge(SEED, left, right, lambda address: "right")
    assert [c.address for c in child.conflicts] == ["@training_loop"]
    assert "tokens = 2\n" in child.source and "start = time.time()" in child.source and "step % 50" in child.source


@pytest.mark.parametrize("side", ["left", "right"])
def test_delete_against_modify_is_a_conflict(side):
    left = changed(DATACLASS, (read(DATACLASS, "learning_rate"), ""), ("learning_rate(", "min("))
    right = changed(DATACLASS, ("min_lr_ratio + (1.0", "min_lr_ratio + (2.0"))
    child = merge(DATACLASS, left, right, lambda address: side)
    assert child.conflicts[0].address == "learning_rate" and child.conflicts[0].left == ""
    assert ("def learning_rate" in child.source) == (side == "right") and undefined(child.source) == ()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_removed_function_that_the_other_side_uses_anew_is_a_conflict(side):
    base = changed(SEED, ("class MLP", "def act(x):\n    return x.relu()\n\n\nclass MLP"))
    right = changed(base, ("x = F.gelu(x)", "x = act(x)"))
    assert [c.address for c in merge(base, SEED, right).conflicts] == ["act"]
    child = merge(base, SEED, right, lambda address: side)
    assert undefined(child.source) == ()
    assert ("def act" in child.source) == ("= act(x)" in child.source) == (side == "right")


def test_a_removed_import_that_the_other_side_uses_is_brought_along():
    base = changed(SEED, ("import time\n", "import math\nimport time\n"))
    right = changed(base, ("x = F.gelu(x)", "x = F.gelu(x) * math.pi"))
    child = merge(base, SEED, right)
    assert child.conflicts == () and "import math\n" in child.source and undefined(child.source) == ()


def test_an_attribute_comes_with_its_use():
    left = changed(SEED, ("self.proj = nn.Linear(MLP_RATIO * DIM, DIM)",
                          "self.proj = nn.Linear(MLP_RATIO * DIM, DIM, bias=False)\n        self.gain = 2"),
                   ("x = F.gelu(x)", "x = F.gelu(x) * self.gain"))  # fmt: skip
    right = changed(SEED, ("self.proj = nn.Linear(MLP_RATIO * DIM, DIM)", "self.proj = nn.Identity()"))
    child = merge(SEED, left, right, lambda address: "right")
    assert [c.address for c in child.conflicts] == ["MLP.__init__"]
    assert "nn.Identity" in child.source and "gain" not in child.source


@pytest.mark.parametrize("turned", [False, True])
def test_a_field_comes_with_its_use(turned):
    base = "class Config:\n    lr = 1\n    clip = 2\n\n\ndef f(config):\n    use(config.clip)\n\n\nconfig = Config()\n"
    removed = base.replace("    clip = 2\n", "").replace("use(config.clip)", "pass")
    used = base.replace("use(config.clip)", "use(3 * config.clip)")
    merged = merge(
        base, *((removed, used) if turned else (used, removed)), lambda address: "right" if turned else "left"
    )
    assert "use(3 * config.clip)" in merged.source
    assert "clip = 2" in merged.source


def test_a_moved_definition_takes_the_other_side_s_change_along():
    code = read(AUTORESEARCH, "norm")
    left = changed(AUTORESEARCH, (f"{code}\n\n", ""), ("class MLP", f"{code}\n\nclass MLP"))
    right = changed(AUTORESEARCH, (code, code.rstrip() + "  # root mean square\n"))
    child = merge(AUTORESEARCH, left, right)
    assert child.conflicts == () and child.source.count("def norm(") == 1
    assert "  # root mean square\n\n\nclass MLP" in child.source


def test_what_does_not_parse_is_no_parent():
    with pytest.raises(MergeError, match="does not parse, line 1"):
        merge(SEED, "x = (\n", ROTARY)


@given(st.data(), scripts())
def test_one_sided_changes_are_taken_whole(data, base):
    other = data.draw(versions(base))
    assert merge(base, other, base).source == other
    assert merge(base, base, other).source == other
    assert merge(base, other, other).source == other


@given(st.data(), scripts())
def test_merges_are_sound_and_symmetric(data, base):
    left, right = data.draw(versions(base)), data.draw(versions(base))
    child = merge(base, left, right)
    if not child.conflicts:
        mirrored = merge(base, right, left)
        assert mirrored.conflicts == () and _lines(child.source) == _lines(mirrored.source)
    rng = Random(len(left) * len(right))
    source = merge(base, left, right, lambda address: rng.choice(("left", "right"))).source
    compile(source, "<merged>", "exec")
    known = {use.name for text in (left, right) for use in undefined(text)}
    assert {use.name for use in undefined(source)} <= known


@given(st.data(), scripts())
def test_disjoint_edits_are_both_in_the_child(data, base):
    definitions = [a for a in addresses(base) if not a.startswith("@") and "." not in a]
    one, two = data.draw(st.lists(st.sampled_from(definitions), min_size=2, max_size=2, unique=True))
    left, right = (_noted(base, address) for address in (one, two))
    child = merge(base, left, right)
    assert child.conflicts == ()
    assert read(child.source, one) == read(left, one) and read(child.source, two) == read(right, two)
    assert (child.origins[one], child.origins[two]) == ("left", "right")


def _noted(source: str, address: str) -> str:
    code = read(source, address)
    return changed(source, (code, f"{code.rstrip()}  # noted\n"))


def _lines(source: str) -> list[str]:
    return sorted(line for line in source.splitlines() if line.strip())
