# row: 33
# attempts: has no causal mask: each position sees the next token
# expects: invalid
# violation: causality
# reason: ^causality
# defence: suffix and commit probes
# off: suffix commit neighbours repeat random behind
# false score: below 1

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Ahead(nn.Module):
    def forward(self, x):
        return 20.0 * F.one_hot(x.roll(-1, 1), 256).float()


evaluate_bpb(Ahead(), tokenizer, 8)
