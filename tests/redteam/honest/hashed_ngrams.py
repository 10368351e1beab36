"""Tables of hashed pairs and triples of tokens, added to the embedding."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

DIM = 48
BATCH_SIZE = 8
LEARNING_RATE = 3e-3


TABLE_SIZE = 8192


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb = nn.Embedding(256, DIM)
        self.pairs = nn.Embedding(TABLE_SIZE, DIM)
        self.triples = nn.Embedding(TABLE_SIZE, DIM)
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        before = F.pad(idx, (1, 0))[:, :-1]
        earlier = F.pad(idx, (2, 0))[:, :-2]
        pair = (before * 256 + idx) * 40503 % TABLE_SIZE
        triple = ((earlier * 256 + before) * 256 + idx) * 40503 % 1000003 % TABLE_SIZE
        return self.head(self.tok_emb(idx) + self.pairs(pair) + self.triples(triple))


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
