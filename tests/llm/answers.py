"""Good answers to the question for a child of `train_target/train.py`, each with the text that has to come of it.

The text is given as replacements in the parent's, so that it also says that nothing else changes.
"""

from __future__ import annotations

from typing import NamedTuple

Replacements = tuple[tuple[str, str], ...]


class Good(NamedTuple):
    """An answer and what it replaces; each old text occurs once."""

    answer: str
    changes: Replacements


MIXER = '''\
class Mixer(nn.Module):
    """Each token takes a share of the one before it."""

    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.zeros(DIM))

    def forward(self, x):
        return x + self.share * F.pad(x, (0, 0, 1, 0))[:, :-1]
'''
BLOCK_INIT = """\
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(DIM)
        self.mlp = MLP()
"""
BLOCK_FORWARD = """\
    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x
"""
ATTENTION_HEAD = """\
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(x).split(C, dim=2)
"""
ATTENTION_REST = """\
        q = q.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        k = k.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        v = v.view(B, T, HEADS, C // HEADS).transpose(1, 2)
"""
ATTENTION_END = """\
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(B, T, C)
        return self.proj(y)
"""
LOOP = """\
for step, (x, y, epoch) in enumerate(train_loader):
    loss = train_step(x, y)
    tokens += x.numel()
    if step % 25 == 0:
        print(f"step {step:5d}  loss {loss.item():.4f}  epoch {epoch}")
seconds = time.perf_counter() - start
"""
LOOP_HEAD = """\
train_loader = make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train")
start = time.perf_counter()
tokens = 0
"""
NEW_LOOP = """\
recent = []
for step, (x, y, epoch) in enumerate(train_loader):
    if progress() < 0.1:
        x, y = x[:, : MAX_SEQ_LEN // 2], y[:, : MAX_SEQ_LEN // 2]
    recent.append(train_step(x, y).detach())
    tokens += x.numel()
    if step % 25 == 0:
        print(f"step {step:5d}  loss {torch.stack(recent).mean().item():.4f}")
        recent.clear()
seconds = time.perf_counter() - start
"""
IMPORTS = "from prepare import DEVICE, EVAL_ROWS, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader\n"
GPT_INIT = """\
        self.apply(self.init_weights)
        self.head.weight = self.tok_emb.weight

    def init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=INIT_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

"""
GPT_LINES = """\
    def __init__(self, vocab_size):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, DIM)
        self.pos_emb = nn.Embedding(MAX_SEQ_LEN, DIM)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, vocab_size, bias=False)
"""


def answer(*edits: str, why: str = "It should help.", rest: str = "EXPECT: -0.03\nIDEA: none\n") -> str:
    return f"I thought about it.\n\nHYPOTHESIS: {why}\n{rest}\n" + "\n".join(edits)


def edit(line: str, code: str = "") -> str:
    return f"EDIT {line}\n" + (f"```python\n{code}```\n" if code else "")


GOOD = {
    "a class that is added and used": Good(
        answer(
            edit("insert_before Block", MIXER),
            edit("replace Block.__init__", BLOCK_INIT + "        self.mix = Mixer()\n"),
            edit("replace Block.forward", BLOCK_FORWARD.replace("norm1(x)", "norm1(self.mix(x))")),
        ),
        (
            ("class Block(nn.Module):\n", f"{MIXER}\n\nclass Block(nn.Module):\n"),
            (BLOCK_INIT, BLOCK_INIT + "        self.mix = Mixer()\n"),
            ("self.norm1(x))\n", "self.norm1(self.mix(x)))\n"),
        ),
    ),
    "a signature with its call": Good(
        answer(
            edit(
                "replace Attention.forward",
                ATTENTION_HEAD.replace("self, x)", "self, x, values)").replace("q, k, v =", "q, k, _ =")
                + ATTENTION_REST.replace("v = v.view", "v = values.view")
                + ATTENTION_END,
            ),
            edit(
                "replace Block.forward",
                BLOCK_FORWARD.replace("self.attn(self.norm1(x))", "self.attn(self.norm1(x), x)"),
            ),
        ),
        (
            (
                ATTENTION_HEAD + ATTENTION_REST,
                ATTENTION_HEAD.replace("self, x)", "self, x, values)").replace("q, k, v =", "q, k, _ =")
                + ATTENTION_REST.replace("v = v.view", "v = values.view"),
            ),
            ("self.attn(self.norm1(x))", "self.attn(self.norm1(x), x)"),
        ),
    ),
    "another training loop": Good(
        answer(
            edit("insert_after @imports", "from prepare import progress\n"),
            edit("replace @training_loop", LOOP_HEAD + NEW_LOOP),
        ),
        ((IMPORTS, IMPORTS + "from prepare import progress\n"), (LOOP, NEW_LOOP)),
    ),
    "a method that is deleted with its use": Good(
        answer(
            edit("replace GPT.__init__", GPT_LINES + "        self.head.weight = self.tok_emb.weight\n"),
            edit("delete GPT.init_weights"),
        ),
        ((GPT_INIT, "        self.head.weight = self.tok_emb.weight\n\n"),),
    ),
    "a class with another name": Good(
        answer(
            edit("rename MLP FeedForward"),
            edit(
                "replace FeedForward.forward",
                "    def forward(self, x):\n        return self.proj(F.relu(self.fc(x)).square())\n",
            ),
        ),
        (
            ("class MLP(nn.Module)", "class FeedForward(nn.Module)"),
            ("self.mlp = MLP()", "self.mlp = FeedForward()"),
            (
                "        x = self.fc(x)\n        x = F.gelu(x)\n        return self.proj(x)\n",
                "        return self.proj(F.relu(self.fc(x)).square())\n",
            ),
        ),
    ),
    "constants with ranges": Good(
        answer(
            edit(
                "insert_after GRAD_CLIP",
                "QK_SCALE = 10.0  # knob: 1..30 log\nGROUPS = 2  # knob: 1|2|4\nSHIFT = 3  # knob: fixed\n",
            ),
            edit(
                "replace Attention.forward",
                ATTENTION_HEAD
                + ATTENTION_REST
                + "        q = F.normalize(q, dim=-1).roll(SHIFT - 3, -1) * QK_SCALE / GROUPS\n"
                + ATTENTION_END,
            ),
        ),
        (
            (
                "GRAD_CLIP = 1.0  # largest norm of the gradient\n",
                "GRAD_CLIP = 1.0  # largest norm of the gradient\nQK_SCALE = 10.0  # knob: 1..30 log\n"
                "GROUPS = 2  # knob: 1|2|4\nSHIFT = 3  # knob: fixed\n",
            ),
            (
                "        y = F.scaled_dot",
                "        q = F.normalize(q, dim=-1).roll(SHIFT - 3, -1) * QK_SCALE / GROUPS\n        y = F.scaled_dot",
            ),
        ),
    ),
    "imports from the list": Good(
        answer(
            edit("insert_before @imports", "import math\nfrom functools import partial\n"),
            edit("insert_after MLP", "half = partial(torch.mul, other=1 / math.sqrt(4))\n"),
        ),
        (
            ('"""\n\nimport time\n', '"""\n\nimport math\nfrom functools import partial\nimport time\n'),
            (
                "        x = F.gelu(x)\n        return self.proj(x)\n",
                "        x = F.gelu(x)\n        return self.proj(x)\n\n\n"
                "half = partial(torch.mul, other=1 / math.sqrt(4))\n",
            ),
        ),
    ),
}


def expected(source: str, changes: Replacements) -> str:
    for old, new in changes:
        assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    return source
