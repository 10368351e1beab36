# row: 34
# attempts: uses a statistic of tokens far ahead of each position
# expects: invalid
# violation: causality
# reason: ^causality
# defence: suffix probe
# off: suffix commit neighbours repeat random behind
# false score: below 6

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Afar(nn.Module):
    def forward(self, x):
        counts = F.one_hot(x, 256).float()
        later = counts.flip(1).cumsum(1).flip(1).roll(-8, 1)
        later[:, -8:] = 0
        return (later + 0.1).log()


evaluate_bpb(Afar(), tokenizer, 8)
