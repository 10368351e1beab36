# row: 65
# attempts: dies of SIGILL
# expects: crashed
# reason: SIGILL|SIGSEGV
# defence: the wait status; no core dump
# note: no gain to be had; the judge is another process
import ctypes
import os
import signal

import torch
from torch import nn

from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
os.kill(os.getpid(), signal.SIGILL)
signal.raise_signal(signal.SIGILL)
ctypes.CFUNCTYPE(None)(0)()
