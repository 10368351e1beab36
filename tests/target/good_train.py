"""A script that combines what is known to help at this scale, by hand: how far the seed is from good."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader, progress

DEPTH = 1
DIM = 64
HEADS = 2
MLP_RATIO = 4
BATCH_SIZE = 8
LEARNING_RATE = 6e-3
TABLE_LR = 5e-2
TABLE_SIZE = 32768
WARMUP = 0.02
COOLDOWN = 0.5


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


def rotate(x):
    T, half = x.shape[-2], x.shape[-1] // 2
    angles = torch.arange(T)[:, None] * (1.0 / 1000 ** (torch.arange(half) / half))
    cos, sin = angles.cos(), angles.sin()
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM, bias=False)
        self.attn_proj = nn.Linear(DIM, DIM, bias=False)
        self.fc = nn.Linear(DIM, MLP_RATIO * DIM, bias=False)
        self.mlp_proj = nn.Linear(MLP_RATIO * DIM, DIM, bias=False)
        nn.init.zeros_(self.attn_proj.weight)
        nn.init.zeros_(self.mlp_proj.weight)

    def forward(self, x):
        B, T, _ = x.shape
        q, k, v = self.qkv(norm(x)).view(B, T, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(rotate(norm(q)), rotate(norm(k)), v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(B, T, DIM))
        return x + self.mlp_proj(F.relu(self.fc(norm(x))).square())


class GPT(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, DIM)
        self.bigram = nn.Embedding(TABLE_SIZE, DIM, sparse=True)
        self.trigram = nn.Embedding(TABLE_SIZE, DIM, sparse=True)
        nn.init.zeros_(self.bigram.weight)
        nn.init.zeros_(self.trigram.weight)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.head = nn.Linear(DIM, vocab_size, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, idx):
        before = F.pad(idx, (1, 0))[:, :-1]
        earlier = F.pad(idx, (2, 0))[:, :-2]
        pair = (before * 256 + idx) * 40503 % TABLE_SIZE
        triple = ((earlier * 256 + before) * 256 + idx) * 40503 % 1000003 % TABLE_SIZE
        x = norm(self.tok_emb(idx)) + self.bigram(pair) + self.trigram(triple)
        for block in self.blocks:
            x = block(x)
        return self.head(norm(x))


tokenizer = Tokenizer.from_directory()
model = GPT(tokenizer.get_vocab_size()).to(DEVICE)
tables = [model.bigram.weight, model.trigram.weight]
others = [p for p in model.parameters() if all(p is not t for t in tables)]
optimizers = [
    torch.optim.AdamW(others, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    torch.optim.SparseAdam(tables, lr=TABLE_LR, betas=(0.9, 0.98)),
]
for optimizer in optimizers:
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]

for step, (x, y, _epoch) in enumerate(make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train")):
    scale = min(1.0, progress() / WARMUP + 0.02, (1 - progress()) / COOLDOWN)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * scale
        optimizer.step()
    if step % 100 == 0:
        print(f"step {step:5d}  loss {loss.item():.4f}")

print(f"val_bpb {evaluate_bpb(model, tokenizer, BATCH_SIZE):.4f}")
