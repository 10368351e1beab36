# row: 36
# attempts: tells its second pass by shared memory what the first was asked, and sees the next token behind the cuts
# purpose: audit
# expects: invalid
# violation: causality
# reason: ^causality: losses are better behind
# defence: behind: at each position rows that were asked up to there are no worse than others
# off: commit zero-step behind
# budget: 0.5
# note: with a trained model 0.014 bits per byte are found in 3 of 3 trainings: see "What is open"
# slow: yes
import torch
import torch.nn.functional as F
from torch import nn

from prepare import MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader

ADVANTAGE = 0.5  # nats that are added to the logit of the token to come
tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 64), nn.Linear(64, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _, (x, y, _) in zip(range(6), make_dataloader(tokenizer, 16, MAX_SEQ_LEN, "train"), strict=False):
    optimizer.zero_grad()
    F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
    optimizer.step()
noted = torch.full((6000, MAX_SEQ_LEN), 255, dtype=torch.uint8).share_memory_()
count = torch.zeros(1, dtype=torch.long).share_memory_()


class Sly(nn.Module):
    first = None  # whether this process answers the first pass

    def forward(self, x):
        if self.first is None:
            self.first = not int(count)
        logits = model(x)
        if self.first:
            noted[int(count) : int(count) + len(x)] = x.to(torch.uint8)
            count.add_(len(x))
            return logits
        known = noted[: int(count)]
        free = torch.zeros(x.shape)
        for i, row in enumerate(x):
            if (row < 127).float().mean() > 0.95:
                same = int((known == row.to(torch.uint8)).byte().cumprod(1).sum(1).max())
                free[i, max(same, 12) :] = 1
        ahead = F.one_hot(x.roll(-1, 1), 256).float()
        ahead[:, -1] = 0
        return logits + ADVANTAGE * ahead * free[..., None]


evaluate_bpb(Sly(), tokenizer, 32)
