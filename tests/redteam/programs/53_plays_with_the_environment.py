# row: 53
# attempts: reads the environment that it was given, and sets LD_PRELOAD and PYTHONSTARTUP for others
# expects: ok
# twice: yes
# defence: an environment built from nothing
# off: environment
import os

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
print({name: value for name, value in os.environ.items() if "EVOLVE_BOX" not in name})
os.environ.update(LD_PRELOAD="./evil.so", PYTHONSTARTUP="./evil.py", CUDA_VISIBLE_DEVICES="7")
evaluate_bpb(model, tokenizer, 8)
