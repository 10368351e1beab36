"""Patches of four bytes: a wide model over whole patches, a narrow one inside, each sees only what came before."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

DIM = 48
BATCH_SIZE = 8
LEARNING_RATE = 3e-3


PATCH = 4


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_emb = nn.Linear(PATCH * DIM, 2 * DIM)
        self.tok_emb = nn.Embedding(256, DIM)
        self.outer = nn.GRU(2 * DIM, 2 * DIM, batch_first=True)
        self.inner = nn.GRU(DIM, DIM, batch_first=True)
        self.bridge = nn.Linear(2 * DIM, DIM)
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        B, T = idx.shape
        padded = F.pad(idx, (0, -T % PATCH))
        x = self.tok_emb(padded).view(B, -1, PATCH, DIM)
        whole, _ = self.outer(self.patch_emb(x.flatten(2)))
        before = F.pad(whole, (0, 0, 1, 0))[:, :-1]
        context = self.bridge(before).flatten(0, 1)[:, None]
        inside, _ = self.inner(x.flatten(0, 1) + context)
        return self.head(inside.reshape(B, -1, DIM)[:, :T])


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
