# row: 61
# gpu: yes
# attempts: waits for a kernel that never ends, while the clock runs
# expects: timeout
# reason: ^deadline: trained for more than
# budget: 0.5
# defence: a deadline kept outside of the process, and SIGKILL, with which the driver ends the kernel
# note: 04_never_stops shows a judge without the deadline
import torch

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, make_dataloader

tokenizer = Tokenizer.from_directory()
torch.ones(9, device=DEVICE).sum().item()
next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"))
torch.cuda._sleep(2**62)
torch.cuda.synchronize()
