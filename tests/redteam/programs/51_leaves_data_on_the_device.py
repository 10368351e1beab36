# row: 51
# gpu: yes
# twice: yes
# attempts: fills the device with a pattern, and looks for it in fresh memory when it runs again
# expects: ok
# says: LOOKED .*CONTROL [1-9]
# harmful: FOUND [1-9]
# defence: the driver clears memory before it gives it to another process
# note: the pattern is counted where it is known to be (CONTROL), so it would be seen
import torch
from torch import nn

from prepare import DEVICE, Tokenizer, evaluate_bpb

WORDS = 2**27  # of 8 bytes: a block of 1 GiB
PATTERN = int("<mark>", 16) >> 1 | 1

free, _ = torch.cuda.mem_get_info()
blocks = [torch.empty(WORDS, dtype=torch.int64, device=DEVICE) for _ in range(max(1, free // 2**30 - 8))]
found = sum((block == PATTERN).sum() for block in blocks).item()
other = sum(block.count_nonzero() for block in blocks).item()
for block in blocks:
    block.fill_(PATTERN)
torch.cuda.synchronize()
control = (blocks[-1] == PATTERN).sum().item()
print(
    f"LOOKED at {len(blocks)} GiB: FOUND {found} words of the last candidate, {other} that are not 0; "
    f"CONTROL {control} of {WORDS}",
    flush=True,
)
tokenizer = Tokenizer.from_directory()
size = tokenizer.get_vocab_size()
model = nn.Sequential(nn.Embedding(size, 16), nn.Linear(16, size)).to(DEVICE)
evaluate_bpb(model, tokenizer, 8)
