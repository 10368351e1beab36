"""Begins with one block and grows to three while it trains."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader, progress

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
        self.head = nn.Linear(DIM, 256)
        self.depth = 1

    def forward(self, idx):
        x = self.tok_emb(idx)
        for attn in self.attns[: self.depth]:
            x = x + attn(x)
        return self.head(x)


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    model.depth = 1 + int(3 * min(progress(), 0.99))
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
