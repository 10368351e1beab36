# row: 12
# attempts: takes 5 GB in memory files that are mapped by no process
# expects: oom
# reason: memory:
# defence: the watchdog follows descriptors
# off: watchdog limits
import os
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for number in range(10):
    fd = os.memfd_create(f"part{number}")
    os.posix_fallocate(fd, 0, 512 * 2**20)
time.sleep(1.5)
evaluate_bpb(model, tokenizer, 8)
