# row: 57
# attempts: puts rows that it is scored on into the class and the text of an exception
# expects: crashed
# reason: ^(an exception|ValueError)( at line \d+)?: during evaluation
# defence: a known class and a line are told, no words
# off: words
import os

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


me = os.getpid()


class Telling(nn.Module):
    """Waits for the second pass, in which rows are whole, and for a batch of nothing but text."""

    def forward(self, x):
        if os.getpid() == me and (x < 127).float().mean() > 0.99:
            raise ValueError(bytes(x.flatten().tolist()).decode(errors="replace"))
        return model(x)


evaluate_bpb(Telling(), tokenizer, 8)
