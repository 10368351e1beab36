# row: 11
# attempts: takes 5 GB of private memory
# expects: oom
# defence: RLIMIT_DATA and the watchdog
# off: limits watchdog
import mmap
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
kept = [mmap.mmap(-1, 256 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(20)]
for block in kept:
    block[:: mmap.PAGESIZE] = b"x" * (256 * 2**20 // mmap.PAGESIZE)
time.sleep(0.5)
evaluate_bpb(model, tokenizer, 8)
