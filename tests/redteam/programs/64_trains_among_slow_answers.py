# row: 64
# attempts: trains, unpaid, in the first forward pass, and wastes time in all others so that the first looks ordinary
# slow: yes
# expects: timeout
# reason: deadline: |first|budget
# defence: first-forward: what the first answer cost beyond the others is charged
# off: first-forward
# budget: 0.1
# purpose: confirm
# false score: below 4.6

import time

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
kept = []
for x, y, _ in make_dataloader(tokenizer, 8, MAX_SEQ_LEN, "train"):
    kept.append((x, y))
    optimizer.zero_grad()
    F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
    optimizer.step()


class Lazy(nn.Module):
    done = False

    def forward(self, x):
        stop = time.process_time() + 0.3
        if not Lazy.done:
            Lazy.done = True
            with torch.enable_grad():
                for step in range(400):
                    a, b = kept[step % len(kept)]
                    optimizer.zero_grad()
                    F.cross_entropy(model(a).flatten(0, 1), b.flatten()).backward()
                    optimizer.step()
        while time.process_time() < stop:
            pass
        return model(x)


evaluate_bpb(Lazy(), tokenizer, 512)
