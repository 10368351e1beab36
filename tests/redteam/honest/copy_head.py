"""Copies what followed earlier places that look like this one: attention straight to the tokens of the prefix."""

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
        self.gru = nn.GRU(DIM, DIM, batch_first=True)
        self.query = nn.Linear(DIM, DIM)
        self.head = nn.Linear(DIM, 256)
        self.gate = nn.Linear(DIM, 1)

    def forward(self, idx):
        T = idx.shape[1]
        x, _ = self.gru(self.tok_emb(idx))
        query = self.query(x)
        scores = query @ query.transpose(1, 2) / DIM**0.5
        earlier = torch.ones(T, T, dtype=torch.bool).tril(-1)
        weights = scores.masked_fill(~earlier, -1e9).softmax(dim=-1) * earlier
        followers = F.one_hot(F.pad(idx[:, 1:], (0, 1)), 256).float()
        copied = weights @ followers
        gate = torch.sigmoid(self.gate(x) - 2)
        return torch.log(gate * copied + (1 - gate) * self.head(x).softmax(dim=-1) + 1e-9)


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
