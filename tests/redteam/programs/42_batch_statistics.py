# row: 42
# attempts: keeps batch normalisation in training mode in the evaluation
# expects: invalid
# violation: cross-sample|causality
# defence: rows alone and among other partners
# off: suffix commit neighbours repeat random behind
# false score: below 6.5

import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


class Batchwise(nn.Module):
    """The mean over the batch at each position, as a batch norm without momentum has it, summed over the past."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(MAX_SEQ_LEN * 256, momentum=1.0, affine=False)

    def train(self, mode=True):
        return super().train(True)

    def forward(self, x):
        if len(x) > 1:
            self.norm(F.one_hot(x, 256).float().flatten(1))
        means = self.norm.running_mean.view(1, MAX_SEQ_LEN, 256).cumsum(1)
        return (means + 0.05).log().expand(len(x), -1, -1)


evaluate_bpb(Batchwise().train(), tokenizer, 8)
