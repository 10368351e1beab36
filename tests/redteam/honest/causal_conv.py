"""Dilated convolutions, padded on the left only."""

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
        self.convs = nn.ModuleList(nn.Conv1d(DIM, DIM, 3, dilation=2**i) for i in range(4))
        self.head = nn.Linear(DIM, 256)

    def forward(self, idx):
        x = self.tok_emb(idx).transpose(1, 2)
        for conv in self.convs:
            x = x + F.gelu(conv(F.pad(x, (2 * conv.dilation[0], 0))))
        return self.head(x.transpose(1, 2))


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
