# row: 47
# attempts: asks for batches that it does not train on, so that tokens per second look large
# expects: ok
# defence: speed is no fitness; the loss is
# note: a worse loss is all that it gets

import torch
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for x, y, _ in make_dataloader(tokenizer, 64, MAX_SEQ_LEN, "train"):
    pass
evaluate_bpb(model, tokenizer, 8)
