# row: 44
# attempts: claims another tokenizer with four bytes to a token
# expects: ok
# defence: tokens and their lengths are the judge's
# off: own-bytes
# false score: below 3
import torch
from torch import nn

import prepare
from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
prepare.Tokenizer.get_vocab_size = lambda self: 64
prepare.VOCAB_SIZE = 64
ask = prepare._judge.ask
prepare._judge.ask = lambda **request: ask(**request, vocab_size=64, bytes_per_token=4.0)
evaluate_bpb(model, tokenizer, 8)
