# row: 67
# attempts: imports a package that is not there
# expects: crashed
# reason: ModuleNotFoundError at line \d+: No module named
# defence: told as what it is
# note: a fault, not an attack: what counts is that it is told with its class and line

import flash_attention_of_tomorrow  # noqa: F401
import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
evaluate_bpb(model, tokenizer, 8)
