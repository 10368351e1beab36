# row: 18
# attempts: makes 12,000 files
# expects: crashed
# reason: killed: disk
# defence: the watchdog on the folder
# off: watchdog
import os
import time

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for number in range(12_000):
    os.close(os.open(f"tmp/{number}", os.O_CREAT | os.O_WRONLY))
time.sleep(2.5)
evaluate_bpb(model, tokenizer, 8)
