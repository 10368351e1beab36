"""Which numbers of a program are knobs, and that binding them touches nothing else."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evolve.model import Knob, Number
from operators.knobs import KnobError, bind, find, inherit, rewrite, spans

ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "seed": (ROOT / "train_target/train.py").read_text(),
    "dataclass": (ROOT / "tests/scripts/dataclass_style.py").read_text(),
    "autoresearch": (ROOT / "tests/scripts/autoresearch_style.py").read_text(),
}
KNOBS = {name: find(source) for name, source in SCRIPTS.items()}

# address, kind, low, high or values, log, default: this is what is tuned in the seed program
SEED = [
    ("DEPTH", "int", (1, 4), False, 2),
    ("DIM", "choice", (32, 48, 64, 96, 128), False, 64),
    ("HEADS", "choice", (1, 2, 4, 8), False, 4),
    ("MLP_RATIO", "int", (1, 8), False, 4),
    ("INIT_STD", "float", (1e-3, 1e-1), True, 0.02),
    ("BATCH_SIZE", "choice", (4, 8, 16, 32, 64), False, 16),
    ("LEARNING_RATE", "float", (1e-4, 1e-2), True, 1e-3),
    ("WEIGHT_DECAY", "float", (1e-2, 1.0), True, 0.1),
    ("BETA1", "float", (0.5, 0.99), False, 0.9),
    ("BETA2", "float", (0.99, 0.9999), False, 0.999),
    ("GRAD_CLIP", "float", (0.1, 10.0), True, 1.0),
]


def by_address(source: str, hints: dict[str, str] | None = None) -> dict[str, Knob]:
    return {knob.address: knob for knob in find(source, hints or {})}


def the(source: str, hints: dict[str, str] | None = None) -> Knob:
    """The only knob of `source`."""
    (knob,) = find(source, hints or {})
    return knob


@st.composite
def bindings(draw: st.DrawFn, script: str) -> dict[str, Number]:
    """Allowed values for some of the knobs."""
    chosen = draw(st.lists(st.sampled_from(KNOBS[script]), unique_by=lambda knob: knob.address))
    return {knob.address: draw(allowed(knob)) for knob in chosen}


def allowed(knob: Knob) -> st.SearchStrategy[Number]:
    if knob.kind == "choice":
        return st.sampled_from(knob.values)
    if knob.kind == "int":
        return st.integers(int(knob.low), int(knob.high))
    return st.floats(knob.low, knob.high)


def outside(source: str, addresses: set[str]) -> list[str]:
    """The text of `source` between the literals of `addresses`."""
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    cuts = [0]
    for address, (line, column, end_line, end_column) in spans(source).items():
        if address in addresses:
            cuts += [starts[line - 1] + column, starts[end_line - 1] + end_column]
    return [source[a:b] for a, b in zip(cuts[::2], [*cuts[1::2], len(source)], strict=True)]


# What is found


def test_the_knobs_of_the_seed() -> None:
    found = [(k.address, k.kind, k.values or (k.low, k.high), k.log, k.default) for k in find(SCRIPTS["seed"])]
    assert found == SEED


def test_the_knobs_of_a_script_with_a_dataclass() -> None:
    assert [knob.address for knob in find(SCRIPTS["dataclass"])] == [
        "Config.n_layer", "Config.n_head", "Config.n_embd", "Config.dropout", "Config.batch_size", "Config.lr",
        "Config.min_lr_ratio", "Config.warmup", "Config.weight_decay", "Config.betas[0]", "Config.betas[1]",
        "Config.grad_clip", "GPT.__init__/normal_(std)", "make_optimizer/AdamW(eps)",
    ]  # fmt: skip


def test_the_knobs_of_a_script_in_the_manner_of_autoresearch() -> None:
    assert [knob.address for knob in find(SCRIPTS["autoresearch"])] == [
        "DEPTH", "HEAD_DIM", "DIM", "ROPE_BASE", "SOFTCAP", "VALUE_EMBED_EVERY", "TOTAL_BATCH_SIZE",
        "DEVICE_BATCH_SIZE", "EMBEDDING_LR", "HEAD_LR", "MATRIX_LR", "SCALAR_LR", "ADAM_BETAS[0]", "ADAM_BETAS[1]",
        "WEIGHT_DECAY", "WARMUP_RATIO", "WARMDOWN_RATIO", "FINAL_LR_FRACTION", "GPT.init_weights/bound",
        "GPT.init_weights/normal_(std)", "orthogonalize(steps)", "orthogonalize(eps)", "adam/AdamW(eps)",
        "muon/Muon(momentum)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("def f():\n    return AdamW(p, betas=(b, 0.95))", "f/AdamW(betas)[1]"),
        ("def f(p):\n    optimizer = SGD(p, lr=1.0)", "f/SGD(lr)"),
        ("optimizer = SGD(p, lr=0.3)", "optimizer/SGD(lr)"),
        ("SGD(p, lr=0.3)", "@/SGD(lr)"),
        ("groups = [{'params': p, 'lr': 0.3}]", "groups/lr"),
        ("class A(B):\n    def __init__(self):\n        self.drop = nn.Dropout(0.1)", "A.__init__/Dropout(0)"),
        ("def f(x):\n    return 30.0 * torch.tanh(x)", "f/return"),
        ("def rotary(t, d):\n    frequency = 10000 ** (-torch.arange(0, d, 2) / d)", "rotary/frequency"),
        ("def f(x, slope=0.01):\n    return x", "f(slope)"),
        ("learning_rate = 6e-4", "learning_rate"),
        ("learning_rate: float = 6e-4", "learning_rate"),
    ],
)
def test_an_address_names_definition_callee_and_name(source: str, address: str) -> None:
    assert the(source).address == address


@pytest.mark.parametrize(
    "source",
    [
        "SEED = 1337",
        "H100_BF16_PEAK_FLOPS = 989.5e12",
        "VOCAB_SIZE = 256",
        "COMPILE = True",
        "MASK = 0xFFFF",
        "epoch = 7",
        "def f(x):\n    return F.softmax(x, dim=-1)",
        "def f(x):\n    return x.view(4, 16).mean(dim=3)",
        "def f(x):\n    return x[:, 3:7]",
        "def f(x):\n    return x ** 3.5",
        "def f(x):\n    return F.relu(x) ** 2",
        "def f(x):\n    return 2.0 * x",
        "def f(x, y):\n    return F.linear(x, 3 * y)",
        "def f(x):\n    if x < 0.37:\n        print(f'{x:.3f}', 0.4)",
        "def f(x):\n    return max(x, 1e-3)",
        "def f(p):\n    return AdamW(p, weight_decay=0.0)",
        "def f(x):\n    return 15.0 * torch.tanh(x / 15.0)",  # the same address twice
        "COEFFICIENTS = [3.4, -4.8, 2.0, 3.1, 2.9]",  # a table
        "def f(lr=0.3):\n    return lr\nf(lr=x)",  # a default that is never used
    ],
)
def test_structure_is_no_knob(source: str) -> None:
    assert find(source) == ()


@pytest.mark.parametrize(
    ("source", "low", "high", "log"),
    [
        ("LR = 1e-3", 1e-4, 1e-2, True),
        ("LR = 2e-3", 1e-4, 1e-2, True),  # snapped: a child with this number is the same program
        ("BETA2 = 0.95", 0.5, 0.99, False),
        ("EMA_DECAY = 0.999", 0.99, 0.9999, False),
        ("WEIGHT_DECAY = 0.0", 0.0, 0.3, False),
        ("DROPOUT = 0.1", 0.0, 0.5, False),
        ("WARMDOWN_RATIO = 0.4", 0.01, 0.95, False),
        ("SHIFT = -3.0", -10.0, -0.1, False),
    ],
)
def test_range_of_a_float(source: str, low: float, high: float, log: bool) -> None:
    knob = the(source)
    assert (knob.kind, knob.low, knob.high, knob.log) == ("float", low, high, log)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("BATCH_SIZE = 8", (4, 8, 16, 32, 64)),
        ("BATCH_SIZE = 12", (3, 6, 12, 24, 48)),
        ("WINDOW = 2**10", (256, 512, 1024, 2048, 4096)),
        ("N_EMBD = 768", (384, 576, 768, 1152, 1536)),
    ],
)
def test_choices(source: str, values: tuple[int, ...]) -> None:
    assert the(source).values == values


def test_depth_stays_an_integer_from_one() -> None:
    knob = the("DEPTH = 6")
    assert (knob.kind, knob.low, knob.high) == ("int", 1, 16)


# Directives and hints


def test_a_comment_on_the_line_decides() -> None:
    assert (the("LR = 0.02  # knob: 0.005..0.2 log").low, the("LR = 0.02  # knob: 0.005..0.2").log) == (0.005, False)
    assert the("WIDTH = 16  # knob: 8|16|32  # channels").values == (8, 16, 32)
    assert the("TOTAL = 2**19  # knob: 2**17|2**19").values == (2**17, 2**19)
    assert find("LR = 0.02  # knob: fixed") == ()


def test_a_comment_makes_a_knob_of_an_inline_number_that_would_be_none() -> None:
    source = "def f(x):\n    return 0.5 * x"
    assert find(source) == ()
    assert the(source + "  # knob: 0.1..0.9").address == "f/return"


def test_hints_apply_by_name_address_or_pattern_where_no_comment_does() -> None:
    source = "MATRIX_LR = 0.02\nHEAD_LR = 0.02  # knob: 0.01..0.04\nclass C:\n    decay: float = 0.3"
    knobs = by_address(source, {"*_LR": "1e-3..1 log", "C.decay": "fixed"})
    assert (knobs["MATRIX_LR"].high, knobs["HEAD_LR"].high) == (1, 0.04)
    assert "C.decay" not in knobs


def test_a_default_outside_its_directive_widens_it() -> None:
    assert the("LR = 0.5  # knob: 0.005..0.2 log").high == 0.5
    assert the("LR = 0.0  # knob: 0.005..0.2 log").log is False
    assert the("DEPTH = 3  # knob: 2|4").values == (2, 3, 4)


@pytest.mark.parametrize("directive", ["0.1", "..", "1..0", "0..1 log", "1|x", "low to high"])
def test_an_unreadable_directive_names_the_address_and_the_grammar(directive: str) -> None:
    with pytest.raises(KnobError, match=r"LR: cannot read .* write `low..high`"):
        find("LR = 0.02", {"LR": directive})


# Divisibility


VALID = [(w, h) for w in (48, 64, 128, 384, 512, 640, 768) for h in (1, 2, 3, 4, 6, 8, 12) if w % (2 * h) == 0]


@pytest.mark.parametrize(("width", "heads"), VALID)
def test_any_number_of_heads_divides_any_width(width: int, heads: int) -> None:
    knobs = by_address(f"DIM = {width}\nHEADS = {heads}\nDEPTH = 2")
    counts = knobs["HEADS"].values if "HEADS" in knobs else (heads,)
    assert len(knobs["DIM"].values) > 1
    assert all(w % h == 0 for w in knobs["DIM"].values for h in counts)


def test_head_dimensions_are_even_and_divide_any_width() -> None:
    knobs = by_address("DIM = 96\nHEAD_DIM = 16\nN_KV_HEAD = 2  # knob: fixed")
    assert knobs["DIM"].values == (96, 192)
    assert all(w % (2 * d) == 0 and d % 2 == 0 for w in knobs["DIM"].values for d in knobs["HEAD_DIM"].values)


def test_key_value_heads_divide_heads() -> None:
    knobs = by_address("N_EMBD = 768\nN_HEAD = 8\nN_KV_HEAD = 4")
    assert knobs["N_KV_HEAD"].values == (1, 2, 4)
    assert all(h % k == 0 for h in knobs["N_HEAD"].values for k in knobs["N_KV_HEAD"].values)


def test_widths_respect_heads_that_are_not_tuned() -> None:
    assert the("DIM = 64\nHEADS = 16  # knob: fixed").values == (32, 64, 96, 128)


@pytest.mark.parametrize("hidden", ["4 * DIM", "int(8 * DIM / 3)", "DIM * 3 // 2"])
def test_a_factor_of_a_width_is_no_width(hidden: str) -> None:
    constants = "DIM = 64\nHEADS = 4\n"
    assert find(f"{constants}def mlp():\n    hidden_dim = {hidden}\n    return hidden_dim\n") == find(constants)


def test_declared_choices_are_thinned_to_those_that_fit() -> None:
    knobs = by_address("DIM = 96\nHEADS = 6", {"DIM": "32|48|96|192", "HEADS": "1|2|4|6|8"})
    assert knobs["DIM"].values == (48, 96, 192)
    assert knobs["HEADS"].values == (1, 2, 4, 6, 8)


def test_width_heads_and_head_dimension_cannot_move_alone() -> None:
    assert find("DIM = 64\nHEADS = 4\nHEAD_DIM = 16") == ()


def test_a_device_batch_divides_the_total_for_any_sequence_length() -> None:
    knobs = by_address("TOTAL_BATCH_SIZE = 2**19\nDEVICE_BATCH_SIZE = 128")
    totals, parts = knobs["TOTAL_BATCH_SIZE"].values, knobs["DEVICE_BATCH_SIZE"].values
    length = 2**19 // 128
    assert len(totals) > 1 < len(parts)
    assert all(total % (part * length) == 0 for total in totals for part in parts)


# Binding


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
def test_binding_touches_only_the_literals_of_its_addresses(script: str, data: st.DataObject) -> None:
    source = SCRIPTS[script]
    params = data.draw(bindings(script))
    bound = bind(source, params)
    pieces = map(re.escape, outside(source, set(params)))
    assert re.fullmatch(r"[-\d._e* ]+".join(pieces), bound)
    compile(bound, script, "exec")


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
def test_rewriting_the_defaults_restores_the_bytes(script: str, data: st.DataObject) -> None:
    source = SCRIPTS[script]
    params = data.draw(bindings(script))
    defaults = {knob.address: knob.default for knob in KNOBS[script]}
    assert bind(source, defaults) == source
    bound = bind(source, params)
    assume(defaults.keys() <= {knob.address for knob in find(bound)})  # an inline 1.0 is part of the structure, no knob
    restored = rewrite(bound, defaults)
    same = ast.dump(ast.parse(restored)) == ast.dump(ast.parse(source))
    assert same, params


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("TOTAL = 2**19", 2**18, "TOTAL = 2**18"),
        ("TOTAL = 2 ** 19", 2**20, "TOTAL = 2 ** 20"),
        ("LR = 1e-3", 0.00123456, "LR = 1.235e-3"),
        ("LR = 1e-3", 0.01, "LR = 1e-2"),
        ("LR = 0.001", 0.00123456, "LR = 0.001235"),
        ("BETA2 = 0.999", 0.99876543, "BETA2 = 0.998765"),
        ("ROPE_BASE = 10_000", 20000, "ROPE_BASE = 20_000"),
        ("DEPTH = 2", 4.0, "DEPTH = 4"),
        ("LR = 1.", 1, "LR = 1."),
        ("WEIGHT_DECAY = 0.10", 0.1, "WEIGHT_DECAY = 0.10"),
        ("X = 0.3  # knob: -1..1", -0.5, "X = (-0.5)  # knob: -1..1"),
    ],
)
def test_a_literal_keeps_its_form(source: str, value: float, expected: str) -> None:
    assert bind(source, {the(source).address: value}) == expected


def test_positions_count_characters_not_bytes() -> None:
    source = 'NAME = "größe"; LR = 0.1'
    assert spans(source) == {"LR": (1, 21, 1, 24)}
    assert bind(source, {"LR": 0.2}) == 'NAME = "größe"; LR = 0.2'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_any_line_ending_is_kept(newline: str) -> None:
    source = newline.join(["A = 1.5", "B = 2.5  # knob: 1..9", ""])
    assert bind(source, {"B": 4.5}) == newline.join(["A = 1.5", "B = 4.5  # knob: 1..9", ""])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"LAERNING_RATE": 0.1}, "no knob 'LAERNING_RATE'; take one of DEPTH, DIM, "),
        ({"LEARNING_RATE": 1.0}, "LEARNING_RATE = 1.0 is outside 0.0001..0.01"),
        ({"LEARNING_RATE": float("nan")}, "LEARNING_RATE = nan is outside"),
        ({"HEADS": 3}, r"HEADS = 3 is outside 1\|2\|4\|8"),
        ({"DEPTH": 2.5}, "DEPTH = 2.5 is no integer"),
    ],
)
def test_a_wrong_value_is_named(params: dict[str, Number], message: str) -> None:
    with pytest.raises(KnobError, match=message):
        bind(SCRIPTS["seed"], params)


def test_rewrite_sets_defaults_beyond_the_range_and_switches() -> None:
    text = rewrite(SCRIPTS["seed"], {"DIM": 2048, "COMPILE": True})
    assert "\nDIM = 2048  # width" in text
    assert "\nCOMPILE = True  # worth" in text
    with pytest.raises(KnobError, match="no number at 'WIDTH'; take one of DEPTH"):
        rewrite(SCRIPTS["seed"], {"WIDTH": 1})


# Inheritance


def test_a_child_inherits_by_address_and_clamps() -> None:
    knobs = find("DEPTH = 2\nLR = 1e-3\nBATCH_SIZE = 16\nMOMENTUM = 0.9")
    parent = {"LR": 0.5, "BATCH_SIZE": 100, "DEPTH": 3, "GONE": 1.0}
    assert inherit(knobs, parent) == {"DEPTH": 3, "LR": 0.01, "BATCH_SIZE": 64, "MOMENTUM": 0.9}


@pytest.mark.parametrize("script", SCRIPTS)
@given(other=st.sampled_from(sorted(SCRIPTS)), data=st.data())
def test_what_is_inherited_can_be_bound(script: str, other: str, data: st.DataObject) -> None:
    params = data.draw(bindings(other))
    bind(SCRIPTS[script], inherit(KNOBS[script], params))
