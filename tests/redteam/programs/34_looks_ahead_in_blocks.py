# row: 34
# attempts: sees the next token inside blocks of 16 and beyond position 96 only
# expects: invalid
# violation: causality
# reason: ^causality
# defence: probes at random positions of all lengths
# off: suffix commit neighbours repeat random behind
# false score: below 6.5

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Blocks(nn.Module):
    def forward(self, x):
        place = torch.arange(x.shape[1])
        sees = (place % 16 < 4) | (place > 96)
        return torch.where(sees[:, None], 20.0 * F.one_hot(x.roll(-1, 1), 256).float(), 0.0)


evaluate_bpb(Blocks(), tokenizer, 8)
