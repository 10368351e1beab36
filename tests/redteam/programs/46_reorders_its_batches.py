# row: 46
# attempts: reads ahead, and trains on the batches that it likes
# expects: ok
# defence: legal: the order of the served batches is the judge's, what is done with them is charged
# note: legal: there is no harm to show

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
kept = []
for x, y, _ in make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"):
    kept.append((x, y))
    if len(kept) == 4:
        kept.sort(key=lambda pair: pair[0].float().std().item())
        x, y = kept[0]
        kept.clear()
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()
evaluate_bpb(model, tokenizer, 8)
