# row: 13
# gpu: yes
# attempts: takes 12 GiB of the device where a trial may have 8
# expects: oom
# reason: device memory: [\d,]+ MiB of .*; the limit is 8,192 MiB
# judge: device_memory_mb=8192 startup_wall=25
# defence: a look at the device's memory twice a second, where the scale has a limit
# note: 13_takes_all_of_its_device is what comes of it without a limit
import time

import torch

from prepare import DEVICE

kept = [torch.empty(2**30, dtype=torch.uint8, device=DEVICE) for _ in range(12)]
torch.cuda.synchronize()
time.sleep(20)
