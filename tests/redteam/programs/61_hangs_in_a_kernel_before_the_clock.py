# row: 61
# gpu: yes
# attempts: waits for a kernel that never ends, before the clock runs
# expects: timeout
# reason: ^deadline: no end within the wall-clock limit of startup
# judge: device_memory_mb=8192 startup_wall=25
# defence: a deadline for the start, kept outside of the process
# note: 04_never_stops shows a judge without the deadline
import torch

from prepare import DEVICE

torch.ones(9, device=DEVICE).sum().item()
torch.cuda._sleep(2**62)
torch.cuda.synchronize()
