# row: 19
# attempts: prints 16 MB
# expects: ok
# defence: head and tail are kept, the rest is read and dropped
# off: log

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(256):
    print("x" * 65535)
evaluate_bpb(model, tokenizer, 8)
