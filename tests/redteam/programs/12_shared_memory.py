# row: 12
# attempts: takes 5 GB of shared anonymous memory, which no limit of a process counts
# slow: yes
# expects: oom
# reason: memory: |Cannot allocate|MemoryError
# defence: the watchdog counts shared memory
# off: watchdog limits
import mmap
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
kept = []
for _ in range(20):
    block = mmap.mmap(-1, 256 * 2**20)
    block[:: mmap.PAGESIZE] = b"x" * (256 * 2**20 // mmap.PAGESIZE)
    kept.append(block)
time.sleep(1)
evaluate_bpb(model, tokenizer, 8)
