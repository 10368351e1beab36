# row: 31
# attempts: writes NaN and infinity at what it finds hard
# expects: invalid
# reason: ^non-finite
# defence: every logit must be finite
# off: finite suffix commit neighbours repeat random behind
# false score: below 6

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Gaps(nn.Module):
    def forward(self, x):
        logits = model(x) * 0
        logits[..., ord(" ")] = 9.0
        logits[x.roll(-1, 1) != ord(" ")] = float("nan")
        return logits


evaluate_bpb(Gaps(), tokenizer, 8)
