# row: 31
# attempts: writes logits of 64 bits into a buffer of 32 bits
# expects: ok|invalid
# violation: cross-sample|
# reason: ^$|non-finite|cross-sample
# defence: whatever is there is read as float32: a bad score, or none
# note: nothing to switch off: numbers are numbers

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Wide(nn.Module):
    def forward(self, x):
        logits = model(x)
        return logits.double().flatten()[: logits.numel() // 2].view(torch.float32).view(logits.shape)


evaluate_bpb(Wide(), tokenizer, 8)
