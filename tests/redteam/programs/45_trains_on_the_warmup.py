# row: 45
# attempts: trains on the batches that are free, before the clock starts
# expects: ok
# defence: warm-up batches are random tokens, and few
# off: synthetic-warmup
# false score: below 6

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for x, y, _ in make_dataloader(tokenizer, 64, MAX_SEQ_LEN, "warmup"):
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()
evaluate_bpb(model, tokenizer, 8)
