"""Attention over blocks: each looks at itself and the block before, with a mask inside."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

DIM = 48
BATCH_SIZE = 8
LEARNING_RATE = 3e-3


BLOCK = 32


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb = nn.Embedding(256, DIM)
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        B, T = idx.shape
        x = self.tok_emb(F.pad(idx, (0, -T % BLOCK)))
        q, k, v = (part.view(B, -1, BLOCK, DIM) for part in self.qkv(x).chunk(3, dim=-1))
        k, v = (torch.cat([F.pad(part, (0, 0, 0, 0, 1, 0))[:, :-1], part], dim=2) for part in (k, v))
        distance = torch.arange(BLOCK)[:, None] + BLOCK - torch.arange(2 * BLOCK)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=(distance >= 0) & (distance <= BLOCK))
        return self.head(x + y.reshape(B, -1, DIM))[:, :T]


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
