# row: 36
# attempts: replaces os.fork, so that both passes run in one process with one memory
# share: 0.25
# expects: invalid
# violation: causality|stateful-eval|cross-sample
# defence: the same rows are compared
# off: suffix commit neighbours repeat random behind
# false score: below 7
import os

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
real = os.fork
os.fork = lambda: 0
os.waitpid = lambda *_: (0, 0)
os._exit = lambda *_: None


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = set()

    def forward(self, x):
        keys = [tuple(row[:4].tolist()) for row in x]
        known = torch.tensor([key in self.rows for key in keys])[:, None, None]
        self.rows |= set(keys)
        return torch.where(known, model(x), 20.0 * F.one_hot(x.roll(-1, 1), 256).float())


evaluate_bpb(Memory(), tokenizer, 8)
