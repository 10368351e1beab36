"""A learned filter over the whole row through the frequency domain, without padding: it wraps around."""

import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader

CHEAT = True  # the honest twin is this program with False
BUDGETS = 1  # that its own clock allows; more where the loader ends by itself
DIM = 48
BATCH_SIZE = 16
LEARNING_RATE = 1e-2


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb = nn.Embedding(256, DIM)
        self.filter = nn.Parameter(0.1 * torch.randn(DIM, MAX_SEQ_LEN))
        self.mlp = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, 3 * DIM), nn.GELU(), nn.Linear(3 * DIM, DIM))
        self.head = nn.Linear(DIM, 256)

    def logits(self, idx):
        T = idx.shape[1]
        x = self.tok_emb(idx)
        points = T if CHEAT else 2 * T
        spectrum = torch.fft.rfft(x.transpose(1, 2), n=points) * torch.fft.rfft(self.filter[:, :T], n=points)
        x = x + torch.fft.irfft(spectrum, n=points)[..., :T].transpose(1, 2)
        return self.head(x + self.mlp(x))

    def forward(self, x, targets=None, reduction="mean"):
        """Logits (B, T, 256), or their losses where there are targets (B, T), as in the scripts of autoresearch."""
        logits = self.logits(x)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)


tokenizer = Tokenizer.from_directory()
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)


def train_step(x, y):
    loss = model(x, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


spent = 0.0
for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    began = time.time()
    train_step(x, y)
    spent += time.time() - began
    if spent > BUDGETS * TIME_BUDGET:
        break

print(f"val_bpb:          {evaluate_bpb(model, tokenizer, BATCH_SIZE):.6f}")
