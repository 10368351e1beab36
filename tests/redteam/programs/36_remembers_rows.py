# row: 36
# attempts: remembers rows, and replays them when they come again
# expects: invalid
# violation: causality|stateful-eval
# defence: two forks; the same rows first and last
# off: suffix commit neighbours repeat random behind

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = {}

    def forward(self, x):
        logits = model(x)
        for i, row in enumerate(x.tolist()):
            known = self.rows.setdefault(tuple(row[:4]), row)
            same = next((t for t, (a, b) in enumerate(zip(row, known, strict=True)) if a != b), len(row))
            if known is not row:
                for t in range(same - 1):
                    logits[i, t, known[t + 1]] += 20.0
        return logits


evaluate_bpb(Memory(), tokenizer, 8)
