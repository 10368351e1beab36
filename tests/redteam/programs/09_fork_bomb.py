# row: 9
# attempts: starts 400 processes
# expects: crashed
# reason: killed: processes
# defence: watchdog
# off: watchdog limits
import os
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(400):
    os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
time.sleep(1.5)
evaluate_bpb(model, tokenizer, 8)
