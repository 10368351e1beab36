# row: 36
# attempts: keeps rows of the probing process in a file, and replays their beginnings in the scoring one
# expects: invalid
# violation: causality|stateful-eval
# defence: the losses of both passes are compared
# off: suffix commit neighbours repeat random behind
import os

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Memory(nn.Module):
    def forward(self, x):
        logits = model(x)
        known = open("rows", "rb").read() if os.path.exists("rows") else b""
        for i, row in enumerate(x.tolist()):
            at = known.find(bytes(row[:6]))
            if at >= 0:
                for t in range(len(row) - 1):
                    if known[at + t : at + t + 2] == bytes(row[t : t + 2]):
                        logits[i, t, row[t + 1]] += 20.0
        with open("rows", "ab") as file:
            file.write(b"".join(bytes(row) for row in x.tolist()))
        return logits


evaluate_bpb(Memory(), tokenizer, 8)
