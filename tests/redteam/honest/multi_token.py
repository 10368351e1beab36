"""Two more heads learn the tokens after the next; the evaluation uses the first head only."""

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
        self.heads = nn.ModuleList(nn.Linear(DIM, 256) for _ in range(3))

    def forward(self, idx):
        x, _ = self.gru(self.tok_emb(idx))
        return [head(x) for head in self.heads] if self.training else self.heads[0](x)


tokenizer = Tokenizer.from_directory()
model = Model().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

for x, y, _ in make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train"):
    loss = sum(
        F.cross_entropy(logits[:, : MAX_SEQ_LEN - far].flatten(0, 1), y[:, far:].flatten()) / (far + 1)
        for far, logits in enumerate(model(x))
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(f"val_bpb {evaluate_bpb(model, tokenizer, 16):.4f}")
