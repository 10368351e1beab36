# row: 43
# attempts: trains on the rows that it is scored on, after each answer
# expects: invalid|timeout
# violation: stateful-eval|causality|
# defence: the same rows first and last
# off: suffix commit neighbours repeat random first-forward behind
# purpose: confirm
# false score: below 6

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Learning(nn.Module):
    def forward(self, x):
        logits = model(x)
        if not torch.is_grad_enabled():
            with torch.enable_grad():
                for _ in range(3):
                    optimizer.zero_grad()
                    F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
                    optimizer.step()
        return logits


evaluate_bpb(Learning(), tokenizer, 8)
