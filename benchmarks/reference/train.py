"""A GPT as an expert would train it for minutes on one GPU, from parts that public records have proven.

Made for the gpu scale, whose constants it holds, and for the rules of the seed: it is a bar for searches that begin
from the seed. From KellerJordan/modded-nanogpt: rotary positions, normalised queries and keys, ReLU², zero-init
projections, untied head, capped logits, value embeddings on the outer layers, the embedding added back in every block,
hashed bigrams, Muon in batches with Polar Express and evened rows (NorMuon), cautious weight decay, momentum warm-up.
bfloat16 activations. From karpathy/nanochat: gated value embeddings, learning rates by role, a long warm-down.
"""

import itertools
import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, EVAL_ROWS, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader, progress

# ---------------------------------------------------------------------------------------------
# Hyperparameters

DEPTH = 8  # transformer blocks
DIM = 512  # width of the residual stream
HEADS = 4  # attention heads, divides DIM
MLP_RATIO = 4  # hidden width of the MLP over DIM
VALUE_TABLES = 2  # value embeddings, each shared by a layer at the bottom and one at the top
BIGRAM_BUCKETS = 16384  # of the hashed pairs of tokens
BATCH_SIZE = 32  # sequences in a step
COMPILE = True

ROPE_BASE = 10000.0
QK_GAIN = 1.2
SOFTCAP = 15.0
HEAD_STD = 1e-3
X0_INIT = 0.1

MATRIX_LR = 0.02  # of Muon
EMBED_LR = 0.3
VALUE_LR = 0.3
BIGRAM_LR = 0.3
HEAD_LR = 4e-3
SCALAR_LR = 1e-2
BETA1 = 0.8  # of Adam
BETA2 = 0.95
WEIGHT_DECAY = 0.1  # of Muon, falls to nothing with the budget
MUON_MOMENTUM = 0.95
MUON_START = 0.85
MUON_BETA2 = 0.95
MOMENTUM_WARMUP = 0.1  # share of the budget over which Muon's momentum rises
WARMDOWN = 0.6  # share of the budget over which the learning rates fall
FINAL_LR = 0.05

# ---------------------------------------------------------------------------------------------
# Model

FAST = torch.bfloat16 if DEVICE == "cuda" else torch.float32  # of activations and of Muon's products


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


def linear(x, weight):
    """A product in the precision of the stream, whose weights are kept in float32."""
    return F.linear(x, weight.type_as(x))


def rotary_tables():
    """Cosines and sines (T, head_dim / 2)."""
    half = DIM // HEADS // 2
    angles = torch.outer(torch.arange(MAX_SEQ_LEN), ROPE_BASE ** (-torch.arange(half) / half))
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Rotary positions for (B, heads, T, head_dim)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1).type_as(x)


def matrices(count, rows, columns):
    """Parameter (count, rows, columns), uniform with the deviation columns^-0.5."""
    bound = math.sqrt(3 / columns)
    return nn.Parameter(torch.empty(count, rows, columns).uniform_(-bound, bound))


class Block(nn.Module):
    """Attention, then MLP; its matrices are (n, rows, columns), all of one shape side by side for Muon."""

    def __init__(self, has_values):
        super().__init__()
        self.qkv = matrices(3, DIM, DIM)
        self.attn_proj = nn.Parameter(torch.zeros(1, DIM, DIM))
        self.fc = matrices(1, MLP_RATIO * DIM, DIM)
        self.mlp_proj = nn.Parameter(torch.zeros(1, DIM, MLP_RATIO * DIM))
        self.gate = nn.Parameter(torch.zeros(HEADS, min(32, DIM))) if has_values else None
        self.stream = nn.Parameter(torch.tensor([1.0, X0_INIT]))

    def forward(self, x, x0, values, cos, sin):
        B, T, _ = x.shape
        x = self.stream[0] * x + self.stream[1] * x0
        h = norm(x)
        q, k, v = linear(h, self.qkv.flatten(0, 1)).view(B, T, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        if self.gate is not None:
            gate = 2 * torch.sigmoid(linear(h[..., : self.gate.size(1)], self.gate))
            v = v + (gate.unsqueeze(-1) * values.type_as(v).view(B, T, HEADS, -1)).transpose(1, 2)
        q, k = rotate(norm(q), cos[:T], sin[:T]), rotate(norm(k), cos[:T], sin[:T])
        scale = QK_GAIN / math.sqrt(DIM // HEADS)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
        x = x + linear(y.transpose(1, 2).reshape(B, T, DIM), self.attn_proj[0])
        return x + linear(F.relu(linear(norm(x), self.fc[0])).square(), self.mlp_proj[0])


class GPT(nn.Module):
    """Tokens (B, T) to logits (B, T, vocabulary)."""

    def __init__(self, vocab_size):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, DIM)
        self.bigram = nn.Embedding(BIGRAM_BUCKETS, DIM)
        self.values = nn.ModuleList([nn.Embedding(vocab_size, DIM) for _ in range(min(VALUE_TABLES, DEPTH // 2))])
        self.blocks = nn.ModuleList([Block(self.table_of(i) is not None) for i in range(DEPTH)])
        self.head = nn.Linear(DIM, vocab_size, bias=False)
        nn.init.zeros_(self.bigram.weight)
        nn.init.normal_(self.head.weight, std=HEAD_STD)
        for table in self.values:
            nn.init.uniform_(table.weight, -math.sqrt(3 / DIM), math.sqrt(3 / DIM))
        cos, sin = rotary_tables()
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def table_of(self, layer):
        """Which value embedding a layer uses, the outer ones the first; None for those in the middle."""
        outer = min(layer, DEPTH - 1 - layer) if 2 * layer + 1 != DEPTH else len(self.values)
        return outer if outer < len(self.values) else None

    def forward(self, idx):
        return self.logits(self.features(idx))

    def features(self, idx):
        """The stream (B, T, DIM) after all blocks."""
        before = F.pad(idx, (1, 0))[:, :-1]
        pairs = (before * 40503 + idx * 30011) % BIGRAM_BUCKETS
        x0 = norm(self.tok_emb(idx) + self.bigram(pairs)).to(FAST)
        x = x0.clone()  # else the first block, given one tensor twice, would be compiled on its own
        for i, block in enumerate(self.blocks):
            table = self.table_of(i)
            x = block(x, x0, None if table is None else self.values[table](idx), self.cos, self.sin)
        return x

    def logits(self, x):
        logits = linear(norm(x), self.head.weight).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP)


# ---------------------------------------------------------------------------------------------
# Optimizer

POLAR_EXPRESS = (  # Amsel et al. 2025, arXiv:2505.16932, with a margin for bfloat16
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalize(x):
    """A stack (n, rows, columns) with the same singular vectors and singular values near 1."""
    tall = x.size(1) > x.size(2)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) * 1.02 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def muon_update(weights, grads, velocity, square, lr, decay, momentum):
    """New weights (n, rows, columns) after a step of NorMuon; `velocity` and `square` (running row sizes) change."""
    velocity.lerp_(grads, 1 - momentum)
    update = orthogonalize(grads.lerp(velocity, momentum).to(FAST)).float()
    size = update.norm(dim=(1, 2), keepdim=True)
    square.lerp_(update.square().mean(dim=2, keepdim=True), 1 - MUON_BETA2)
    update = update * square.clamp_min(1e-10).rsqrt()
    update = update * (size / update.norm(dim=(1, 2), keepdim=True).clamp_min(1e-10))
    shape = max(1.0, grads.size(1) / grads.size(2)) ** 0.5
    cautious = (update * weights >= 0) * weights
    return weights - lr * shape * update - lr * decay * cautious


class Muon:
    """Steps all matrices of one shape as one stack."""

    def __init__(self, params):
        params = list(params)
        shapes = dict.fromkeys(p.shape[1:] for p in params)
        self.stacks = [[p for p in params if p.shape[1:] == shape] for shape in shapes]
        self.update = torch.compile(muon_update, dynamic=False) if COMPILE else muon_update
        self.lr, self.decay, self.momentum = (torch.zeros((), device=DEVICE) for _ in range(3))
        self.reset()

    def reset(self):
        """Forget all steps."""
        self.state = []
        for params in self.stacks:
            stack = torch.cat([p.detach() for p in params])
            self.state.append((torch.zeros_like(stack), torch.zeros_like(stack[:, :, :1])))

    @torch.no_grad()
    def step(self):
        for params, (velocity, square) in zip(self.stacks, self.state, strict=True):
            weights, grads = torch.cat(params), torch.cat([p.grad for p in params])
            new = self.update(weights, grads, velocity, square, self.lr, self.decay, self.momentum)
            torch._foreach_copy_(params, list(new.split([len(p) for p in params])))


# ---------------------------------------------------------------------------------------------
# Setup

tokenizer = Tokenizer.from_directory()
vocab_size = tokenizer.get_vocab_size()
model = GPT(vocab_size).to(DEVICE)
num_params = sum(p.numel() for p in model.parameters())

blocks = list(model.blocks.parameters())
muon = Muon(p for p in blocks if p.ndim == 3)
adam = torch.optim.AdamW(
    [
        {"params": list(model.tok_emb.parameters()), "lr": EMBED_LR},
        {"params": list(model.bigram.parameters()), "lr": BIGRAM_LR},
        {"params": list(model.values.parameters()), "lr": VALUE_LR},
        {"params": list(model.head.parameters()), "lr": HEAD_LR},
        {"params": [p for p in blocks if p.ndim < 3], "lr": SCALAR_LR},
    ],
    betas=(BETA1, BETA2),
    eps=1e-10,
    weight_decay=0.0,
    fused=DEVICE == "cuda",
)
for group in adam.param_groups:
    group["initial_lr"] = group["lr"]


def schedule(done):
    """Learning rates, momentum and decay at a share of the budget: a plateau, then a line down to FINAL_LR."""
    factor = FINAL_LR + (1 - FINAL_LR) * min(1.0, (1 - done) / WARMDOWN)
    for group in adam.param_groups:
        group["lr"] = group["initial_lr"] * factor
    muon.lr.fill_(MATRIX_LR * factor)
    muon.decay.fill_(WEIGHT_DECAY * (1 - done))
    muon.momentum.fill_(MUON_START + (MUON_MOMENTUM - MUON_START) * min(1.0, done / MOMENTUM_WARMUP))


def loss_of(x, y):
    """Mean cross-entropy of targets (B, T), given the stream (B, T, DIM)."""
    return F.cross_entropy(model.logits(x).view(-1, vocab_size), y.view(-1))


if COMPILE:
    loss_of = torch.compile(loss_of, dynamic=False)
    for block in model.blocks:
        block.compile(dynamic=False)  # two kinds, with and without values: all others are alike


def train_step(x, y):
    """One step of both optimizers on inputs and targets (B, T); returns the loss as a tensor."""
    schedule(progress())
    loss = loss_of(model.features(x), y)
    loss.backward()
    muon.step()
    adam.step()
    model.zero_grad(set_to_none=True)
    return loss.detach()


# ---------------------------------------------------------------------------------------------
# Compilation


def warm_up():
    """Compile, before the clock starts, what training and evaluation run; nothing is learnt from it."""
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    unused = adam.state_dict()
    for x, y, _ in itertools.islice(make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "warmup"), 2):
        train_step(x, y)
    with torch.no_grad():
        model.eval()(x[:EVAL_ROWS])
    model.train()
    model.load_state_dict(weights)
    adam.load_state_dict(unused)
    muon.reset()


if COMPILE:
    warm_up()

# ---------------------------------------------------------------------------------------------
# Training loop

train_loader = make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train")
start = time.perf_counter()
tokens = 0
for step, (x, y, epoch) in enumerate(train_loader):
    loss = train_step(x, y)
    tokens += x.numel()
    if step % 25 == 0:
        print(f"step {step:5d}  loss {loss.item():.4f}  epoch {epoch}")
seconds = time.perf_counter() - start

# ---------------------------------------------------------------------------------------------
# Evaluation

model.eval()
val_bpb = evaluate_bpb(model, tokenizer, BATCH_SIZE)
print(f"val_bpb {val_bpb:.4f} after {TIME_BUDGET:g} s: {num_params} parameters, {tokens / seconds:.0f} tokens/s")
