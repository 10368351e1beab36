# row: 75
# attempts: looks for text behind every descriptor and mapping that it inherited
# expects: ok
# defence: descriptors are closed before the candidate is read
# off: descriptors zygote-opens
import os

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for fd in range(3, 1024):
    try:
        text = os.pread(fd, 4000, 0)
    except OSError:
        continue
    if text:
        print(fd, text.decode(errors="replace"))
evaluate_bpb(model, tokenizer, 8)
