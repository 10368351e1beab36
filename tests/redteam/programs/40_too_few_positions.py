# row: 40
# attempts: returns the logits of half of the positions
# expects: crashed
# reason: must return floating-point logits of shape
# defence: one shape for all; what is not written is NaN
# note: the check is a courtesy: going round it is 40_drops_what_is_hard

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Half(nn.Module):
    def forward(self, x):
        return model(x)[:, ::2]


evaluate_bpb(Half(), tokenizer, 8)
