# row: 17
# attempts: writes one file of 1.5 GB
# expects: crashed
# reason: OSError|killed: disk|SIGXFSZ
# defence: RLIMIT_FSIZE
# off: limits watchdog
import os

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
with open("checkpoint", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 1536 * 2**20)
evaluate_bpb(model, tokenizer, 8)
