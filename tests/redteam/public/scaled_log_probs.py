"""Log-probabilities times a tenth: a tenth of the loss for whoever takes them for log-probabilities."""

import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader

CHEAT = True  # the honest twin is this program with False
BUDGETS = 1  # that its own clock allows; more where the loader ends by itself
DIM = 48
BATCH_SIZE = 16
LEARNING_RATE = 3e-3


class Model(nn.Module):
    """A causal convolution of width eight and an MLP."""

    def __init__(self):
        super().__init__()
        self.tok_emb = nn.Embedding(256, DIM)
        self.conv = nn.Conv1d(DIM, DIM, 8)
        self.mlp = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, 3 * DIM), nn.GELU(), nn.Linear(3 * DIM, DIM))
        self.head = nn.Linear(DIM, 256)

    def logits(self, idx):
        x = self.tok_emb(idx)
        x = x + self.conv(F.pad(x.transpose(1, 2), (7, 0))).transpose(1, 2)
        return self.head(x + self.mlp(x))

    def forward(self, x, targets=None, reduction="mean"):
        """Log-probabilities (B, T, 256), or minus those of the targets (B, T)."""
        logprobs = self.logits(x).log_softmax(dim=-1)
        if CHEAT and not self.training:
            logprobs = 0.1 * logprobs
        if targets is None:
            return logprobs
        return F.nll_loss(logprobs.flatten(0, 1), targets.flatten(), reduction=reduction)


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
