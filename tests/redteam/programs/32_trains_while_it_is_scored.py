# row: 32
# attempts: a child trains shared weights on, unpaid, while the evaluation is on
# expects: timeout|invalid|crashed
# violation: stateful-eval|cross-sample|causality|
# defence: the time of the whole tree during the evaluation; the same rows first and last
# off: repeat suffix first-forward commit neighbours random behind
# budget: 0.1
# purpose: confirm
# false score: below 4.6
import os
import time

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
model.share_memory()
kept = []
for x, y, _ in make_dataloader(tokenizer, 8, MAX_SEQ_LEN, "train"):
    kept.append((x, y))
    optimizer.zero_grad()
    F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
    optimizer.step()
begin, ready = os.pipe()
if os.fork() == 0:
    os.read(begin, 1)
    for step in range(2000):
        x, y = kept[step % len(kept)]
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()
    os._exit(0)


class Waiting(nn.Module):
    def forward(self, x):
        os.write(ready, b"x")
        time.sleep(1.5 if not self.training and not hasattr(self, "slept") else 0)
        self.slept = True
        return model(x)


evaluate_bpb(Waiting(), tokenizer, 8)
