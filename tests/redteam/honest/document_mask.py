"""Attention that stays within a paragraph: an empty line ends one."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

DIM = 48
BATCH_SIZE = 8
LEARNING_RATE = 3e-3


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb = nn.Embedding(256, DIM)
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        x = self.tok_emb(idx)
        line = idx == 10
        ends = line & F.pad(line, (1, 0))[:, :-1]
        document = ends.long().cumsum(dim=1)
        causal = torch.ones(idx.shape[1], idx.shape[1], dtype=torch.bool).tril()
        mask = (document[:, :, None] == document[:, None, :]) & causal
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.head(x + F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
