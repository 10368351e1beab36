# row: 61
# attempts: hangs in a loop below Python, which no handler of a signal and no thread interrupts
# expects: timeout
# reason: deadline: |trained for more than
# defence: a deadline kept outside of the process, and SIGKILL
# off: deadline
# budget: 0.1

import torch
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"))
sum(iter(int, 1))
