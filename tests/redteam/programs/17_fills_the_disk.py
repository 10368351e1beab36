# row: 17
# attempts: writes 2.5 GB of checkpoints
# expects: crashed
# reason: killed: disk
# defence: the watchdog on the folder
# off: watchdog limits
import os
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for number in range(5):
    with open(f"checkpoint{number}", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 512 * 2**20)
time.sleep(2.5)
evaluate_bpb(model, tokenizer, 8)
