# row: 16
# gpu: yes
# attempts: ends without a word while a kernel of it that never ends is running
# expects: crashed
# reason: exit code 3
# budget: 0.5
# defence: the driver ends a kernel with its process; the device's memory has to be back before the next trial
# note: nothing of ours is between a kernel and the driver
import os
import time

import torch

from prepare import DEVICE

kept = torch.ones(2**30, device=DEVICE)
torch.cuda.synchronize()
torch.cuda._sleep(2**62)
time.sleep(1)
os._exit(3)
