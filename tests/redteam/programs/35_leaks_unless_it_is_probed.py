# row: 35
# attempts: sees the next token unless the row looks spliced
# expects: invalid
# violation: causality|cross-sample
# reason: ^(causality|cross-sample)
# defence: the same row is compared, true and with another suffix, and alone, since what looks spliced depends on others
# off: suffix commit neighbours repeat random behind
# budget: 0.1
# false score: below 5

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
model = nn.Linear(1, 1)
counts = torch.zeros(256, 256)
for x, y, _ in make_dataloader(tokenizer, 16, MAX_SEQ_LEN, "train"):
    counts.index_put_((x.flatten(), y.flatten()), torch.ones(x.numel()), accumulate=True)
rare = (counts + 0.1).div((counts + 0.1).sum(1, keepdim=True)).log()


class Careful(nn.Module):
    def forward(self, x):
        worst = rare[x[:, :-1], x[:, 1:]].sort(dim=1).values[:, :3].mean(1)
        natural = (worst > worst.median())[:, None, None]
        return torch.where(natural, 20.0 * F.one_hot(x.roll(-1, 1), 256).float(), 0.0)


evaluate_bpb(Careful(), tokenizer, 8)
