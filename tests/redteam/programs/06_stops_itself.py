# row: 6
# attempts: stops itself with SIGSTOP; a child is to wake it much later
# expects: timeout
# reason: deadline: |wall-clock
# defence: a wall clock beside the CPU clock
# off: deadline
# budget: 0.1
import os
import signal
import time

import torch
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"))
me = os.getpid()
if os.fork() == 0:
    os.setsid()
    time.sleep(300)
    os.kill(me, signal.SIGCONT)
    os._exit(0)
while True:
    os.kill(me, signal.SIGSTOP)
    time.sleep(300)
