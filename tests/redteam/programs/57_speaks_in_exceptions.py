# row: 57
# attempts: puts rows that it is scored on into the class and the text of an exception
# expects: crashed
# reason: ^(an exception|ValueError)( at line \d+)?: during evaluation
# defence: a known class and a line are told, no words
# off: words

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Telling(nn.Module):
    def forward(self, x):
        raise ValueError(bytes(x[0].tolist()).decode(errors="replace"))


evaluate_bpb(Telling(), tokenizer, 8)
