# row: 10
# attempts: starts 2,300 threads
# expects: crashed
# reason: killed: processes
# defence: watchdog
# off: watchdog limits
import os
import threading
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
threading.stack_size(65536)
for _ in range(2300):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(1.5)
evaluate_bpb(model, tokenizer, 8)
os._exit(0)
