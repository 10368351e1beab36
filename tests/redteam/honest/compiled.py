"""The model is compiled, and warms up on synthetic tokens before the clock starts: to train, and to be evaluated."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

DIM = 48
BATCH_SIZE = 8
ROWS = 16
LEARNING_RATE = 3e-3


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb = nn.Embedding(256, DIM)
        self.pos_emb = nn.Embedding(MAX_SEQ_LEN, DIM)
        self.attn = Attention()
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        x = self.tok_emb(idx) + self.pos_emb.weight[: idx.shape[1]]
        x = x + self.attn(self.norm(x))
        x = x + self.mlp(self.norm(x))
        return self.head(self.norm(x))


tokenizer = Tokenizer.from_directory()
model = torch.compile(Model()).to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "warmup"):
    F.cross_entropy(model.train()(x).flatten(0, 1), y.flatten()).backward()
    with torch.no_grad():
        model.eval()(x.repeat(ROWS // BATCH_SIZE, 1))
model.train()

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, ROWS):.4f}")
