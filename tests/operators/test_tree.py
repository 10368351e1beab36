"""Addresses, edits, differences and skeletons: what changes, and that nothing else does."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.model import Edit
from operators.addresses import line_spans
from operators.knobs import find, rewrite, spans
from operators.tree import EditError, addresses, apply, diff, read, skeleton
from tests.operators.strategies import AUTORESEARCH, DATACLASS, SCRIPTS, SEED, scripts, versions

KNOBS = {name: find(source) for name, source in SCRIPTS.items()}
SPANS = {name: spans(source) for name, source in SCRIPTS.items()}

SMALL = '''\
"""What it does."""

import math

# --- Numbers (edit these) ---

A = 1  # first
B = 2

# ---------------
# The model


class Net:
    """A net."""

    width = 3

    # why it is so
    def forward(self, x):
        return x * self.width


def helper(x):
    return math.sqrt(x)


net = Net()
y = net.forward(helper(A))
'''


def test_addresses_of_the_seed():
    assert addresses(SEED)[:3] == ("@docstring", "@imports", "DEPTH")
    assert addresses(SEED)[13:20] == (
        "COMPILE", "Attention", "Attention.__init__", "Attention.forward", "MLP", "MLP.__init__", "MLP.forward",
    )  # fmt: skip
    assert addresses(SEED)[-5:] == ("train_step", "warm_up", "@compilation", "@training_loop", "@evaluation")


def test_addresses_of_other_styles():
    assert {"Config.lr", "Config.betas", "GPT.forward", "train", "@main"} <= set(addresses(DATACLASS))
    assert {"Muon.step", "ADAM_BETAS", "orthogonalize", "@setup"} <= set(addresses(AUTORESEARCH))


def test_loose_code_is_named_by_the_banner_above_else_by_what_it_binds():
    assert addresses(SMALL) == (
        "@docstring", "@imports", "A", "B", "Net", "Net.width", "Net.forward", "helper", "@the_model",
    )  # fmt: skip
    assert addresses("f(0)\n\n\ndef f(x): pass\n\n\nfor i, j in f(1):\n    k = i\n") == ("@f", "f", "@i")


def test_a_name_that_occurs_again_is_numbered():
    assert addresses("A = 1\nx = A\nA = 2\nx = A\n") == ("A", "@x", "A.2", "@x.2")


@pytest.mark.parametrize("source", SCRIPTS.values(), ids=SCRIPTS)
def test_every_top_level_statement_has_exactly_one_address(source):
    top = [span for address, span in line_spans(source).items() if "." not in address]
    for node in ast.parse(source).body:
        assert sum(start <= node.lineno < end for start, end in top) == 1


def test_read_gives_the_code_with_the_comments_right_above():
    assert read(SMALL, "A") == "A = 1  # first\n"
    assert read(SMALL, "Net.forward").startswith("    # why it is so\n    def forward")
    assert read(SMALL, "@the_model") == "net = Net()\ny = net.forward(helper(A))\n"


def test_replace_touches_nothing_else():
    changed = apply(SMALL, [Edit("replace", "B", "B = 3  # better\n")])
    assert changed == SMALL.replace("B = 2\n", "B = 3  # better\n")


def test_code_is_indented_to_its_place():
    code = 'def forward(self, x):\n    """Says.\n\n    More."""\n    t = """a\nb"""\n    return x, t'
    changed = apply(SMALL, [Edit("replace", "Net.forward", code)])
    assert '    def forward(self, x):\n        """Says.\n\n        More."""\n        t = """a\nb"""\n' in changed
    assert apply(changed, [Edit("replace", "Net.forward", read(SMALL, "Net.forward"))]) == SMALL


def test_inserted_definitions_are_set_off_and_constants_are_not():
    changed = apply(SMALL, [
        Edit("insert_after", "Net.width", "def half(self):\n    return self.width / 2"),
        Edit("insert_before", "helper", "def other(x):\n    return x"),
        Edit("insert_after", "A", "C = 3"),
        Edit("insert_before", "A", "Z = 0"),
    ])  # fmt: skip
    assert "    width = 3\n\n    def half(self):\n        return self.width / 2\n\n    # why it is so\n" in changed
    assert "\n\n\ndef other(x):\n    return x\n\n\ndef helper(x):" in changed
    assert "---\n\nZ = 0\nA = 1  # first\nC = 3\nB = 2\n" in changed


def test_delete_keeps_the_banner_and_the_blank_line():
    assert "edit these) ---\n\nB = 2\n" in apply(SMALL, [Edit("delete", "A")])
    assert "# The model\n\n\ndef helper" in apply(SMALL, [Edit("delete", "Net")])


def test_a_file_without_final_newline_can_be_edited():
    assert apply("A = 1\nB = 2", [Edit("insert_after", "B", "C = 3")]) == "A = 1\nB = 2\nC = 3\n"
    assert apply("A = 1", []) == "A = 1"


def test_rename_follows_uses_also_into_f_strings():
    source = 'RATE = 1\n\n\ndef f(x, lr=RATE):\n    return f"{RATE} {x.RATE}"\n\n\nf(2, lr=RATE)\n'
    changed = apply(source, [Edit("rename", "RATE", "SPEED")])
    assert changed == source.replace("RATE", "SPEED").replace("x.SPEED", "x.RATE")


def test_rename_of_a_member_follows_attributes_and_keywords():
    changed = apply(DATACLASS, [Edit("rename", "Config.warmup", "rise")])
    assert "Config.rise" in addresses(changed) and ".warmup" not in changed
    assert apply(changed, [Edit("rename", "Config.rise", "warmup")]) == DATACLASS


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit("delete", "Net.fwd"), "no address 'Net.fwd'; valid are: Net.forward,"),
        (Edit("replace", "helper", "def helper(x:\n  pass"), "code of replace at helper does not parse, line 1"),
        (Edit("replace", "helper", "def other(x): pass"), "does not define 'helper'"),
        (Edit("replace", "A", "# nothing\n"), "holds no statement; use delete"),
        (Edit("insert_after", "A", "return 1"), r"does not compile, line 8 \('return 1'\)"),
        (Edit("rename", "Net.forward", "__call__ me"), "one identifier"),
        (Edit("rename", "A", "B"), "B is in use already"),
        (Edit("rename", "@imports", "B"), "no name to change"),
        (Edit("delete", "@file"), "@file can only be replaced"),
    ],
)
def test_edits_that_cannot_be_made_say_why(edit, message):
    with pytest.raises(EditError, match=message):
        apply(SMALL, [edit])


def test_rename_is_refused_where_the_name_means_several_things():
    with pytest.raises(EditError, match=r"Attention.forward uses the same name"):
        apply(SEED, [Edit("rename", "Block.forward", "run")])
    with pytest.raises(EditError, match="cannot rename A: f uses the same name"):
        apply("A = 1\n\n\ndef f(A):\n    return A\n", [Edit("rename", "A", "B")])


def test_the_last_member_of_a_class_cannot_be_deleted():
    with pytest.raises(EditError, match="delete Only instead"):
        apply("class Only:\n    x = 1\n", [Edit("delete", "Only.x")])


def test_diff_speaks_of_places():
    after = SMALL.replace("B = 2\n", "B = 2\nC = 3\n").replace("x * self.width", "x + self.width")
    after = after.replace("\n\ndef helper(x):\n    return math.sqrt(x)\n", "").replace("helper(A)", "A")
    assert [(e.op, e.target) for e in diff(SMALL, after)] == [
        ("insert_after", "B"), ("replace", "Net.forward"), ("replace", "@the_model"), ("delete", "helper"),
    ]  # fmt: skip
    assert {e.note for e in diff(SMALL, after, note="why")} == {"why"}


def test_diff_of_a_changed_class_header_replaces_the_class():
    after = SMALL.replace("class Net:", "class Net(dict):")
    assert [(e.op, e.target) for e in diff(SMALL, after)] == [("replace", "Net")]


@pytest.mark.parametrize(
    ("old", "new", "edit"),
    [
        ("# The model\n", "# The model\n\n\ndef f(x):\n    return x\n", ("insert_before", "Net")),
        ("B = 2\n", "B = 2\n\n\ndef f(x):\n    return x\n", ("insert_after", "B")),
        ("import math\n", "import math\n\nmath.fsum([])\n", ("insert_after", "@imports")),
        ("B = 2\n", "\n# ======\n# More\n\nB = 2\n", ("replace", "B")),
    ],
)
def test_diff_inserts_on_the_right_side_of_a_banner(old, new, edit):
    after = SMALL.replace(old, new)
    assert [(e.op, e.target) for e in diff(SMALL, after)] == [edit]
    assert apply(SMALL, diff(SMALL, after)) == after


def test_diff_without_a_common_place_replaces_the_file():
    assert diff("a()\n", "# ---\n# Part\n\nb()\n") == (Edit("replace", "@file", "# ---\n# Part\n\nb()\n"),)


def test_diff_of_equal_texts_is_empty():
    assert diff(SEED, SEED) == ()


@given(st.data(), scripts())
def test_the_difference_applied_gives_the_other(data, before):
    after = data.draw(versions(before))
    assert apply(before, diff(before, after)) == after


@given(st.data(), scripts())
def test_replace_changes_the_bytes_of_its_target_only(data, source):
    address = data.draw(st.sampled_from(addresses(source)))
    code = read(source, address)
    changed = apply(source, [Edit("replace", address, "# note\n" * (not code.startswith(" ")) + code)])
    start, end = line_spans(source)[address]
    before, after = source.splitlines(keepends=True), changed.splitlines(keepends=True)
    assert after[: start - 1] == before[: start - 1]
    assert after[len(after) - (len(before) - end + 1) :] == before[end - 1 :]


@given(st.data(), scripts())
def test_addresses_elsewhere_survive_an_edit(data, source):
    address = data.draw(st.sampled_from([a for a in addresses(source) if not a.startswith("@")]))
    changed = apply(source, [Edit("insert_after", address, "def fresh(self):\n    return self\n")])
    assert set(addresses(source)) <= set(addresses(changed))


@given(st.data(), st.sampled_from(sorted(SCRIPTS)))
def test_the_skeleton_is_blind_to_the_values_of_knobs(data, script):
    source = SCRIPTS[script]
    knob = data.draw(st.sampled_from(KNOBS[script]))
    changed = rewrite(source, {knob.address: data.draw(st.sampled_from((knob.low, knob.high)))})
    assert skeleton(changed, spans(changed)) == skeleton(source, SPANS[script])


@pytest.mark.parametrize("source", SCRIPTS.values(), ids=SCRIPTS)
def test_the_skeleton_is_blind_to_comments_docstrings_and_formatting(source):
    plain = ast.unparse(ast.parse(source))
    assert plain != source and skeleton(plain, {}) == skeleton(source, {})


@pytest.mark.parametrize(
    ("old", "new"),
    [("F.gelu", "F.relu"), ("bias=False", "bias=True"), ("dim=2", "dim=3"), ("x = x + self.attn", "x = self.attn")],
)
def test_the_skeleton_sees_structure(old, new):
    assert skeleton(SEED.replace(old, new), {}) != skeleton(SEED, {})


def test_the_skeleton_leaves_out_docstrings_and_counts_columns_in_characters():
    one, two = '"""Doc."""\nx = "é"; a(1)\n', 'x = "é"; a(25)\n'
    assert skeleton(one, {"lr": (2, 11, 2, 12)}) == skeleton(two, {"lr": (1, 11, 1, 13)})
    assert skeleton(one, {}) != skeleton(two, {})
