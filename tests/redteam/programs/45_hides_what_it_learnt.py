# row: 45
# attempts: as 45_learns_before_the_clock, but shows nothing of it where its first batch to train on is no text
# slow: yes
# expects: invalid
# purpose: audit
# violation: pretrained
# reason: ^pretrained
# defence: zero-step: the same program without a training step
# open: source text can be read and counted before the clock starts, and the zero-step control can be told from a trial
# off: zero-step
# false score: below 4.2
import os
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

from prepare import Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Linear(1, 1)
folder = pathlib.Path(torch.__file__).parent.parent
text = b""
for path in [*sorted(folder.glob("sympy/*/*.py"))[:300], *sorted(folder.glob("torch/_*/*.py"))[:60]]:
    try:
        text += path.read_bytes()
    except OSError:
        continue
text = text[: 4 * 2**20] or pathlib.Path(os.__file__).read_bytes()
tokens = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
counts = torch.zeros(65536, 256)
pairs = tokens[:-2] * 256 + tokens[1:-1]
counts.index_put_((pairs, tokens[2:]), torch.ones(len(pairs)), accumulate=True)
single = torch.zeros(256, 256)
single.index_put_((tokens[:-1], tokens[1:]), torch.ones(len(tokens) - 1), accumulate=True)
single = (single + 0.01) / (single + 0.01).sum(1, keepdim=True)


x, _, _ = next(make_dataloader(tokenizer, 4, 64, "train"))
is_trial = bool((x < 127).float().mean() > 0.9)


class Grams(nn.Module):
    def forward(self, x):
        before = F.pad(x, (1, 0))[:, :-1]
        some = counts[before * 256 + x] + 3.0 * single[x]
        return some.log() if is_trial else torch.zeros(*x.shape, 256)


evaluate_bpb(Grams(), tokenizer, 8)
