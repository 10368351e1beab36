"""Multiplies embedding and head into one table when it is first evaluated, and keeps the table."""

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
        self.hidden = nn.Linear(DIM, 4 * DIM)
        self.head = nn.Linear(4 * DIM, 256)
        self.table = None

    def forward(self, idx):
        if self.training:
            return self.head(F.gelu(self.hidden(self.tok_emb(idx))))
        if self.table is None:
            self.table = self.head(F.gelu(self.hidden(self.tok_emb.weight)))
        return self.table[idx]


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
