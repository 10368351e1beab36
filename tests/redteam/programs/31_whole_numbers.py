# row: 31
# attempts: returns logits of whole numbers
# expects: crashed
# reason: floating-point logits
# defence: the contract of evaluate_bpb
# note: bypassing the check gives what 31_wrong_dtype gives

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Whole(nn.Module):
    def forward(self, x):
        return model(x).long()


evaluate_bpb(Whole(), tokenizer, 8)
