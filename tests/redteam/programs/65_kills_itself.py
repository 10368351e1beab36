# row: 65
# attempts: sends itself SIGKILL, to be taken for a victim and run again for nothing
# expects: crashed|ok
# reason: ^$|SIGKILL|killed|ended
# defence: the first process of a namespace cannot; without one it is the candidate's fault
# note: no gain to be had: at most a repeated trial
import os
import signal

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
os.kill(os.getpid(), signal.SIGKILL)
if os.fork() == 0:
    os.kill(os.getppid(), signal.SIGKILL)
    os._exit(0)
evaluate_bpb(model, tokenizer, 8)
