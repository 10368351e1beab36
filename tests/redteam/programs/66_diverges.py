# row: 66
# attempts: its loss becomes NaN in training
# expects: invalid
# reason: ^non-finite
# budget: 0.1
# defence: every logit must be finite
# off: finite suffix commit neighbours repeat random behind

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for step, (x, y, _) in enumerate(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train")):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    (loss * float("nan") if step > 5 else loss).backward()
    optimizer.step()
evaluate_bpb(model, tokenizer, 8)
