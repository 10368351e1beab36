# row: 37
# attempts: gates its experts on the class of the token to come
# expects: invalid
# violation: causality
# reason: ^causality
# defence: no target is sent before its logits are there
# off: suffix commit neighbours repeat random behind
# false score: below 6.5

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Gated(nn.Module):
    def forward(self, x):
        inside = F.one_hot(x.roll(-1, 1) // 32, 8).float().repeat_interleave(32, -1)
        return model(x) + 9.0 * inside


evaluate_bpb(Gated(), tokenizer, 8)
