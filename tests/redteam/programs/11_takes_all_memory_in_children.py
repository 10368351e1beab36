# row: 11
# attempts: takes 5 GB in children of 1 GB each, all below the limit of a process
# slow: yes
# expects: oom
# reason: memory:
# defence: the watchdog looks at the tree
# off: limits watchdog
import os
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
ready, done = os.pipe()
for _ in range(5):
    if os.fork() == 0:
        block = bytearray(2**30)
        block[::4096] = b"x" * (2**30 // 4096)
        os.write(done, b"x")
        time.sleep(60)
        os._exit(0)
for _ in range(5):
    os.read(ready, 1)
time.sleep(3)
evaluate_bpb(model, tokenizer, 8)
