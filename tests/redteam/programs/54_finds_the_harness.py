# row: 54
# attempts: finds objects of the harness by the garbage collector, and speaks to the judge in the zygote's name
# expects: ok|crashed
# defence: descriptors are closed; no text and no secret in its memory
# off: descriptors
import gc
import os
import sys

import torch
from torch import nn

import prepare
from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for thing in gc.get_objects():
    if type(thing).__name__ in ("Zygote", "Spare", "Nursery"):
        try:
            for message in ({"exit": 0, "peak_mb": 0.0}, {"swept": 0}, {"error": "forged"}):
                thing.tell(message)
        except (OSError, AttributeError):
            continue
frame = sys._getframe()
while frame:
    for name, value in list(frame.f_locals.items()):
        if isinstance(value, (bytes, str)) and ("def test_" in str(value) or "REDTEAM" in str(value)):
            print(name, str(value)[:900])
    frame = frame.f_back
for number in range(3, 200):
    try:
        os.write(number, b'{"error": "forged"}\n') if number != prepare._judge._sock.fileno() else None
    except OSError:
        continue
evaluate_bpb(model, tokenizer, 8)
