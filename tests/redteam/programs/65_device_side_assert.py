# row: 65
# gpu: yes
# attempts: reads beyond the end of a table, which a kernel's assertion ends
# expects: crashed
# reason: (?i)CUDA error|device-side assert
# defence: what a program says of the device is not believed: a process of the judge's own tries it
# note: an accident, not an attack
import torch

from prepare import DEVICE

table = torch.ones(10, device=DEVICE)
print(table[torch.tensor([10**6], device=DEVICE)].cpu())
