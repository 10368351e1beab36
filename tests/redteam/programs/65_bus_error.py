# row: 65
# attempts: dies of SIGBUS
# expects: crashed
# reason: SIG
# defence: the wait status; no core dump
# note: no gain to be had; the judge is another process
import mmap
import os

import torch
from torch import nn

from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
fd = os.memfd_create("x")
os.ftruncate(fd, 4096)
block = mmap.mmap(fd, 4096)
os.ftruncate(fd, 0)
print(block[0])
