"""Train a small GPT in the modern manner: rotary positions, QK-norm, value embeddings, Muon for the matrices.

Upper-case constants first, functions without state next, then one straight line from setup to evaluation.
"""

import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader, progress

# ---------------------------------------------------------------------------------------------
# Model shape

DEPTH = 2  # blocks
HEAD_DIM = 16
DIM = 64  # a multiple of HEAD_DIM
ROPE_BASE = 10_000
SOFTCAP = 15.0  # logits stay within -SOFTCAP..SOFTCAP
VALUE_EMBED_EVERY = 2  # the last block of every so many mixes token embeddings into its values

# ---------------------------------------------------------------------------------------------
# Optimization

TOTAL_BATCH_SIZE = 2**11  # knob: 2**9|2**10|2**11|2**12  # tokens in an optimizer step
DEVICE_BATCH_SIZE = 16  # sequences in a forward pass
EMBEDDING_LR = 0.02
HEAD_LR = 4e-3
MATRIX_LR = 0.02
SCALAR_LR = 5e-3
ADAM_BETAS = (0.8, 0.95)
WEIGHT_DECAY = 0.0
WARMUP_RATIO = 0.0  # shares of the budget
WARMDOWN_RATIO = 0.4
FINAL_LR_FRACTION = 0.05

# ---------------------------------------------------------------------------------------------
# Model


def norm(x):
    """Root-mean-square norm without a gain."""
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(length):
    """Cosines and sines, each (1, length, 1, HEAD_DIM / 2)."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, device=DEVICE) / HEAD_DIM)
    angle = torch.outer(torch.arange(length, device=DEVICE), frequency)
    return angle.cos()[None, :, None, :], angle.sin()[None, :, None, :]


def rotate(x, tables):
    """Rotate the pairs of channels of x (B, T, heads, HEAD_DIM) by an angle that grows with the position."""
    cos, sin = tables
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


def has_value_embedding(layer):
    return layer % VALUE_EMBED_EVERY == VALUE_EMBED_EVERY - 1


class Attention(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.c_q = nn.Linear(DIM, DIM, bias=False)
        self.c_k = nn.Linear(DIM, DIM, bias=False)
        self.c_v = nn.Linear(DIM, DIM, bias=False)
        self.c_proj = nn.Linear(DIM, DIM, bias=False)
        self.value_mix = nn.Parameter(torch.tensor(0.5)) if has_value_embedding(layer) else None

    def forward(self, x, value_embedding, tables):
        B, T, _ = x.shape
        q = self.c_q(x).view(B, T, -1, HEAD_DIM)
        k = self.c_k(x).view(B, T, -1, HEAD_DIM)
        v = self.c_v(x).view(B, T, -1, HEAD_DIM)
        if value_embedding is not None:
            v = v + self.value_mix * value_embedding.view_as(v)
        q, k = norm(rotate(q, tables)), norm(rotate(k, tables))
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, DIM))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(DIM, 4 * DIM, bias=False)
        self.c_proj = nn.Linear(4 * DIM, DIM, bias=False)

    def forward(self, x):
        return self.c_proj(F.relu(self.c_fc(x)).square())


class Block(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.attn = Attention(layer)
        self.mlp = MLP()

    def forward(self, x, value_embedding, tables):
        x = x + self.attn(norm(x), value_embedding, tables)
        return x + self.mlp(norm(x))


class GPT(nn.Module):
    """Tokens (B, T) to softcapped logits (B, T, vocabulary)."""

    def __init__(self, vocab_size):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, DIM)
        self.blocks = nn.ModuleList([Block(layer) for layer in range(DEPTH)])
        self.value_embeds = nn.ModuleDict(
            {str(layer): nn.Embedding(vocab_size, DIM) for layer in range(DEPTH) if has_value_embedding(layer)}
        )
        self.lm_head = nn.Linear(DIM, vocab_size, bias=False)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self):
        """Uniform inputs to each block, zero outputs of each block and of the head."""
        bound = (3.0 / DIM) ** 0.5
        nn.init.normal_(self.wte.weight, std=1.0)
        nn.init.zeros_(self.lm_head.weight)
        for embedding in self.value_embeds.values():
            nn.init.uniform_(embedding.weight, -bound, bound)
        for block in self.blocks:
            for linear in (block.attn.c_q, block.attn.c_k, block.attn.c_v, block.mlp.c_fc):
                nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(block.attn.c_proj.weight)
            nn.init.zeros_(block.mlp.c_proj.weight)

    def forward(self, idx):
        tables = rotary_tables(idx.size(1))
        x = norm(self.wte(idx))
        for layer, block in enumerate(self.blocks):
            embedding = self.value_embeds[str(layer)](idx) if has_value_embedding(layer) else None
            x = block(x, embedding, tables)
        logits = self.lm_head(norm(x)).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP)


# ---------------------------------------------------------------------------------------------
# Muon: momentum, then the nearest orthogonal matrix (Jordan et al. 2024)


def orthogonalize(matrix, steps=5, eps=1e-7):
    """Quintic Newton-Schulz iteration: a matrix with the same singular vectors and singular values near 1."""
    x = matrix / (matrix.norm() + eps)
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(p)
                velocity = state["velocity"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalize(p.grad.lerp(velocity, group["momentum"]))
                scale = max(1.0, p.size(0) / p.size(1)) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


# ---------------------------------------------------------------------------------------------
# Setup

tokenizer = Tokenizer.from_directory()
vocab_size = tokenizer.get_vocab_size()
model = GPT(vocab_size).to(DEVICE)

matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
scalars = [p for p in model.blocks.parameters() if p.ndim < 2]
embeddings = [*model.wte.parameters(), *model.value_embeds.parameters()]
adam = torch.optim.AdamW(
    [
        dict(params=list(model.lm_head.parameters()), lr=HEAD_LR),
        dict(params=embeddings, lr=EMBEDDING_LR),
        dict(params=scalars, lr=SCALAR_LR),
    ],
    betas=ADAM_BETAS,
    eps=1e-10,
    weight_decay=0.0,
)
muon = Muon(matrices, lr=MATRIX_LR, momentum=0.95, weight_decay=WEIGHT_DECAY)
optimizers = [adam, muon]
for group in (group for optimizer in optimizers for group in optimizer.param_groups):
    group["initial_lr"] = group["lr"]

tokens_per_pass = DEVICE_BATCH_SIZE * MAX_SEQ_LEN
accumulation = max(1, TOTAL_BATCH_SIZE // tokens_per_pass)

# ---------------------------------------------------------------------------------------------
# Schedules, as functions of the share of the budget that is used


def lr_multiplier(done):
    """Linear warm-up, plateau, linear warm-down to FINAL_LR_FRACTION."""
    if done < WARMUP_RATIO:
        return done / WARMUP_RATIO
    if done < 1.0 - WARMDOWN_RATIO:
        return 1.0
    left = max(0.0, (1.0 - done) / WARMDOWN_RATIO)
    return left + (1 - left) * FINAL_LR_FRACTION


def muon_momentum(done):
    """Momentum rises over the first tenth of the budget."""
    return 0.85 + (0.95 - 0.85) * min(done / 0.1, 1.0)


# ---------------------------------------------------------------------------------------------
# Training loop

train_loader = make_dataloader(tokenizer, DEVICE_BATCH_SIZE, MAX_SEQ_LEN, "train")
start = time.perf_counter()
tokens = 0
for micro_step, (x, y, epoch) in enumerate(train_loader):
    logits = model(x)
    loss = F.cross_entropy(logits.view(-1, vocab_size), y.view(-1))
    (loss / accumulation).backward()
    tokens += x.numel()
    if (micro_step + 1) % accumulation:
        continue

    done = progress()
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = group["initial_lr"] * lr_multiplier(done)
    for group in muon.param_groups:
        group["momentum"] = muon_momentum(done)
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad(set_to_none=True)

    step = micro_step // accumulation
    if step % 100 == 0:
        print(f"step {step:5d}  loss {loss.item():.4f}  done {done:.0%}  epoch {epoch}")
seconds = time.perf_counter() - start

# ---------------------------------------------------------------------------------------------
# Evaluation

model.eval()
val_bpb = evaluate_bpb(model, tokenizer, DEVICE_BATCH_SIZE)
print(f"val_bpb {val_bpb:.4f} after {TIME_BUDGET:g} s: {tokens / seconds:.0f} tokens/s")
