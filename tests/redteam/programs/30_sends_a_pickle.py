# row: 30
# attempts: sends a pickle that runs a command in whoever opens it
# expects: crashed
# reason: broke the protocol
# defence: nothing is ever unpickled
# off: json-only
import base64
import os
import pickle

import torch
from torch import nn

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Command:
    def __reduce__(self):
        return os.system, ("echo by pickle > <scratch>/<mark>",)


tokenizer.get_vocab_size()
prepare._judge._sock.sendall(base64.b64encode(pickle.dumps(Command())) + b"\n")
prepare._judge.ask(op="hello")
