"""Train a small network on images of digits and print its validation loss: as plain as it gets.

Run it by hand with `python digits_target/train.py`. Everything worth changing is in this file; `prepare` owns the
data, the clock, the seed and the evaluation. The train iterator ends when the budget is used.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import CLASSES, DEVICE, IMAGE_SIZE, TIME_BUDGET, evaluate_nll, make_dataloader

DEPTH = 2  # convolutions
CHANNELS = 8  # of each convolution
HIDDEN = 32  # width of the hidden layer
BATCH_SIZE = 32  # images in a step
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.1
BETA1 = 0.9
BETA2 = 0.999


class Block(nn.Module):
    """A convolution with a nonlinearity: images (B, C, H, W) to (B, CHANNELS, H, W)."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, CHANNELS, kernel_size=3, padding=1)

    def forward(self, x):
        return F.relu(self.conv(x))


class Net(nn.Module):
    """A few convolutions and two linear layers: images (B, 1, H, W) to logits (B, CLASSES)."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(CHANNELS if i else 1) for i in range(DEPTH)])  # knob: fixed
        self.fc = nn.Linear(CHANNELS * IMAGE_SIZE * IMAGE_SIZE, HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        x = self.fc(x.flatten(1))
        x = F.relu(x)
        return self.head(x)


model = Net().to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), weight_decay=WEIGHT_DECAY)

train_loader = make_dataloader(BATCH_SIZE, "train")
for step, (x, y, epoch) in enumerate(train_loader):
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:5d}  loss {loss.item():.4f}  epoch {epoch}")

model.eval()
val_nll = evaluate_nll(model, BATCH_SIZE)
print(f"val_nll {val_nll:.4f} after {TIME_BUDGET:g} s")
