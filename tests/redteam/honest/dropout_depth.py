"""Dropout, token dropout and stochastic depth: training and evaluation compute different things."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

DIM = 48
BATCH_SIZE = 8
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
        self.attns = nn.ModuleList(Attention() for _ in range(3))
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        if self.training:
            idx = torch.where(torch.rand(idx.shape) < 0.1, torch.randint_like(idx, 256), idx)
        x = self.tok_emb(idx)
        for i, attn in enumerate(self.attns):
            keep = 1 - 0.2 * i
            if not self.training:
                x = x + keep * attn(x)
            elif torch.rand(()) < keep:
                x = x + self.drop(attn(x))
        return self.head(self.drop(x))


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
