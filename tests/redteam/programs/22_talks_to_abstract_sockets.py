# row: 22
# attempts: sends a word to a socket that has no path
# expects: ok
# defence: network namespace, Landlock's scope
# off: namespaces landlock mount
import socket

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
link = socket.socket(socket.AF_UNIX)
try:
    link.connect("\0<abstract>")
    link.sendall(b"<mark> by name")
except OSError:
    pass
evaluate_bpb(model, tokenizer, 8)
