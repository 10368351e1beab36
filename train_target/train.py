"""Train a small GPT on text and print its validation loss: a plain GPT-2, as simple as it gets.

Run it by hand with `python train_target/train.py`. Everything worth changing is in this file; `prepare`
owns the data, the clock, the seed and the evaluation. The train iterator ends when the budget is used.
"""

import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, EVAL_ROWS, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader

# ---------------------------------------------------------------------------------------------
# Hyperparameters

DEPTH = 2  # transformer blocks
DIM = 64  # width of the residual stream
HEADS = 4  # attention heads, divides DIM
MLP_RATIO = 4  # hidden width of the MLP over DIM
INIT_STD = 0.02  # standard deviation of the initial weights
BATCH_SIZE = 16  # sequences in a step
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
BETA1 = 0.9
BETA2 = 0.999
GRAD_CLIP = 1.0  # largest norm of the gradient
COMPILE = False  # worth it where a step is long

# ---------------------------------------------------------------------------------------------
# Model


class Attention(nn.Module):
    """Causal self-attention with several heads."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(x).split(C, dim=2)
        q = q.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        k = k.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        v = v.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(B, T, C)
        return self.proj(y)


class MLP(nn.Module):
    """Two linear layers with a nonlinearity between them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(DIM, MLP_RATIO * DIM)
        self.proj = nn.Linear(MLP_RATIO * DIM, DIM)

    def forward(self, x):
        x = self.fc(x)
        x = F.gelu(x)
        return self.proj(x)


class Block(nn.Module):
    """One transformer block: attention, then MLP, each on a normalised input and added back."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(DIM)
        self.mlp = MLP()

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class GPT(nn.Module):
    """A decoder-only transformer: tokens (B, T) to logits (B, T, vocabulary)."""

    def __init__(self, vocab_size):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, DIM)
        self.pos_emb = nn.Embedding(MAX_SEQ_LEN, DIM)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, vocab_size, bias=False)
        self.apply(self.init_weights)
        self.head.weight = self.tok_emb.weight

    def init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=INIT_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx):
        T = idx.shape[1]
        pos = torch.arange(T, device=idx.device)
        x = self.tok_emb(idx) + self.pos_emb(pos)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x)


# ---------------------------------------------------------------------------------------------
# Setup

tokenizer = Tokenizer.from_directory()
vocab_size = tokenizer.get_vocab_size()
model = GPT(vocab_size).to(DEVICE)
num_params = sum(p.numel() for p in model.parameters())
if COMPILE:
    for block in model.blocks:
        block.compile()  # alike, so that one of them is compiled for all
autocast = torch.autocast(device_type=DEVICE, dtype=torch.bfloat16, enabled=DEVICE == "cuda")

optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), weight_decay=WEIGHT_DECAY)


def train_step(x, y):
    """One optimizer step on inputs and targets (B, T); returns the loss as a tensor."""
    with autocast:
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, vocab_size).float(), y.view(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
    optimizer.step()
    return loss


# ---------------------------------------------------------------------------------------------
# Compilation


def warm_up():
    """Compile, before the clock starts, what training and evaluation run; nothing is learnt from it."""
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    unused = optimizer.state_dict()
    x, y, _ = next(make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "warmup"))
    train_step(x, y)
    with torch.no_grad():
        model.eval()(x[:EVAL_ROWS])
    model.train().zero_grad(set_to_none=True)
    model.load_state_dict(weights)
    optimizer.load_state_dict(unused)


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
