# row: 38
# attempts: returns a constant as if it were the log-probability of everything
# expects: ok
# defence: the judge normalises
# off: normalise
# false score: below 1

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Certain(nn.Module):
    def forward(self, x):
        return model(x) * 0.0 + 5.0


evaluate_bpb(Certain(), tokenizer, 8)
