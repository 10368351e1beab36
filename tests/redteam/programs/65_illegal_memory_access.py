# row: 65
# gpu: yes
# attempts: writes to an address of the device that is not its own (CUDA error 700)
# expects: crashed
# reason: (?i)CUDA error|illegal memory access
# defence: what a program says of the device is not believed: a process of the judge's own tries it
# note: an accident, not an attack
import torch
import triton
import triton.language as tl

from prepare import DEVICE


@triton.jit
def write(place):
    tl.store(place + tl.program_id(0).to(tl.int64) * 2**40 + 2**40, 1)


words = torch.ones(2, dtype=torch.int32, device=DEVICE)
write[(8,)](words)
torch.cuda.synchronize()
