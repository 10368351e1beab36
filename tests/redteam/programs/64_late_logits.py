# row: 64
# attempts: answers the first request and then sleeps
# slow: yes
# expects: timeout
# reason: deadline: |wall-clock
# defence: a wall-clock limit from the cost of the first answers
# off: deadline
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 2:
            time.sleep(300)
        return model(x)


evaluate_bpb(Slow(), tokenizer, 2)
