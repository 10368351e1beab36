# row: 7
# attempts: leaves a daemon of its own session that works on after the end
# expects: ok
# defence: process namespace; the zygote's sweep
# off: namespaces sweep
import ctypes
import os
import signal
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for _ in range(600):
            time.sleep(0.1)
    os._exit(0)
evaluate_bpb(model, tokenizer, 8)
