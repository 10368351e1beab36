# row: 39
# attempts: returns NaN everywhere, so that every comparison is false
# expects: invalid
# reason: ^non-finite
# defence: every logit must be finite
# off: finite suffix commit neighbours repeat random behind

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
nn.init.constant_(model[1].bias, float("nan"))
evaluate_bpb(model, tokenizer, 8)
