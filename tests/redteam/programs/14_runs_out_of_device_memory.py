# row: 14
# gpu: yes
# attempts: asks for more memory than the device has
# expects: oom
# reason: (?i)out of memory|device memory
# defence: none is needed: the allocator's exception is told with its numbers
# note: an accident, not an attack
import torch

from prepare import DEVICE

kept = []
while True:
    kept.append(torch.ones(2**28, device=DEVICE))
