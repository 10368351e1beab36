# row: 35
# share: 0.25
# attempts: notes in a file what the first process is asked; in the second it sees the future elsewhere
# expects: invalid
# violation: causality
# reason: ^causality
# defence: commit: the mean loss where no target was sent
# off: suffix commit neighbours repeat random behind
# false score: below 5
import os

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

PLACE = "seen"


class Sly(nn.Module):
    """Notes in the first process what it is asked there. In the second it answers alike as far as a row is the same,
    and sees the next token from there on; what does not look like text it leaves alone."""

    def __init__(self):
        super().__init__()
        self.noted = None

    def forward(self, x):
        if self.noted is None and not os.path.exists(PLACE):
            open(PLACE, "wb").close()
            self.noted = {}
        if isinstance(self.noted, dict):
            with open(PLACE, "ab") as file:
                file.write(b"".join(bytes(row) for row in x.tolist()))
            return model(x)
        if self.noted is None:
            with open(PLACE, "rb") as file:
                self.noted = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(-1, x.shape[1])
        free = torch.zeros_like(x, dtype=torch.bool)
        for i, row in enumerate(x):
            if (row < 127).float().mean() > 0.95:
                free[i, (self.noted == row).byte().cumprod(1).sum(1).max() :] = True
        ahead = F.one_hot(x.roll(-1, 1), 256).float()
        ahead[:, -1] = 0
        return model(x) + 20.0 * ahead * free[..., None]


evaluate_bpb(Sly(), tokenizer, 8)
