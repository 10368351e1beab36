# row: 58
# attempts: tries many initial weights inside its budget and keeps the best on training text
# expects: ok
# defence: legal: it is charged
# note: legal: there is no harm to show

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
best, kept = float("inf"), None
for x, y, _ in make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"):
    for layer in model:
        layer.reset_parameters()
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    if loss < best:
        best, kept = loss, {name: value.clone() for name, value in model.state_dict().items()}
if kept:
    model.load_state_dict(kept)
evaluate_bpb(model, tokenizer, 8)
