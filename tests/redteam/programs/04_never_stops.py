# row: 4
# attempts: trains for ever
# expects: timeout
# reason: deadline: |trained for more than
# defence: the judge's deadline
# off: deadline
# budget: 0.1

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
x, y, _ = next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"))
while True:
    optimizer.zero_grad()
    F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
    optimizer.step()
