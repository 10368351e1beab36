# row: 13
# gpu: yes
# attempts: takes all memory of the device, and trains on in the last 4 GiB
# expects: ok
# says: HOLDS \d\d+ GiB
# defence: none is needed: the device is its own while it runs, and free again when it has ended
# note: its device is its own; a scale may set a limit
import torch
from torch import nn

from prepare import DEVICE, Tokenizer, evaluate_bpb

kept = []
try:
    while True:
        kept.append(torch.empty(2**30, dtype=torch.uint8, device=DEVICE))
except torch.OutOfMemoryError:
    print(f"HOLDS {len(kept)} GiB", flush=True)
del kept[-4:]
torch.cuda.empty_cache()
tokenizer = Tokenizer.from_directory()
size = tokenizer.get_vocab_size()
model = nn.Sequential(nn.Embedding(size, 16), nn.Linear(16, size)).to(DEVICE)
evaluate_bpb(model, tokenizer, 8)
