"""No network: a table of logits for each pair of tokens, and the counts of the batches that were seen."""

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
        self.table = nn.Parameter(torch.zeros(256, 256))
        self.register_buffer("counts", torch.full((256, 256), 0.05))

    def count(self, x, y):
        self.counts.view(-1).index_add_(0, (x * 256 + y).flatten(), torch.ones(x.numel()))

    def forward(self, idx):
        return self.counts.log()[idx] + self.table[idx]


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.count(x, y)

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
