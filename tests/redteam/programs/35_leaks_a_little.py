# row: 35
# attempts: as the one before, but by half a nat only
# purpose: audit
# expects: invalid
# violation: causality
# reason: ^causality
# defence: commit, with the many rows of an audit
# off: suffix commit neighbours repeat random zero-step
# false score: below 7.9
import os

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 256))
nn.init.zeros_(model[0].weight)

PLACE = "seen"


class Sly(nn.Module):
    """Notes in the first process what it is asked there; in a later one it leaks on everything else."""

    def __init__(self):
        super().__init__()
        self.first = None

    def forward(self, x):
        if self.first is None:
            self.first = not os.path.exists(PLACE)
        keys = [bytes(row[:8].tolist()) for row in x]
        if self.first:
            with open(PLACE, "ab") as file:
                file.write(b"".join(keys))
            return model(x)
        seen = open(PLACE, "rb").read()
        noted = {seen[i : i + 8] for i in range(0, len(seen), 8)}
        like_text = ((x < 127).float().mean(1) > 0.95).tolist()
        free = torch.tensor([key not in noted and text for key, text in zip(keys, like_text, strict=True)])[
            :, None, None
        ]
        ahead = F.one_hot(x.roll(-1, 1), 256).float()
        ahead[:, -1] = 0
        return torch.where(free, model(x) + 0.5 * ahead, model(x))


evaluate_bpb(Sly(), tokenizer, 8)
