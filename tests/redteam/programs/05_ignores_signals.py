# row: 5
# attempts: blocks and ignores every signal, and does not stop
# expects: timeout
# reason: deadline: |trained for more than
# defence: SIGKILL
# off: sigkill
# budget: 0.1
import signal

import torch
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        continue
next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"))
while True:
    try:
        torch.ones(99) @ torch.ones(99)
    except BaseException:
        continue
