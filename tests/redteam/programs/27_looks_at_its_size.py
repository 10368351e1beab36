# row: 27
# attempts: asks for name, size and time of the validation file
# expects: ok
# defence: harmless: sizes are published
# note: nothing is gained, with or without: sizes are published
import os

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for path in ("<corpus>/val.bin", "<corpus>"):
    try:
        print(os.stat(path))
    except OSError as error:
        print(type(error).__name__)
evaluate_bpb(model, tokenizer, 8)
