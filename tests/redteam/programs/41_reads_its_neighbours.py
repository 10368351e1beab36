# row: 41
# attempts: counts the tokens of the other rows of the batch
# expects: invalid
# violation: cross-sample
# reason: ^cross-sample
# defence: rows alone and among other partners
# off: suffix commit neighbours repeat random behind
# false score: below 6

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Social(nn.Module):
    def forward(self, x):
        counts = F.one_hot(x, 256).float().sum(1)
        others = counts.sum(0, keepdim=True) - counts
        return (others + 0.1).log()[:, None].expand(-1, x.shape[1], -1)


evaluate_bpb(Social(), tokenizer, 8)
