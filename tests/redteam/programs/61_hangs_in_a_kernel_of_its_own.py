# row: 61
# gpu: yes
# attempts: waits for a Triton kernel on all cores that loops for ever
# expects: timeout
# reason: ^deadline: trained for more than
# budget: 0.5
# says: COMPILED
# defence: a deadline kept outside of the process, and SIGKILL, with which the driver ends the kernel
# note: 04_never_stops shows a judge without the deadline
import torch
import triton
import triton.language as tl

from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, make_dataloader


@triton.jit
def spin(place):
    while tl.load(place, volatile=True) == 0:
        tl.atomic_add(place + 1, 1)


words = torch.ones(2, dtype=torch.int32, device=DEVICE)
spin[(1,)](words)
torch.cuda.synchronize()
print("COMPILED", flush=True)
words.zero_()
tokenizer = Tokenizer.from_directory()
torch.ones(9, device=DEVICE).sum().item()
next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"))
spin[(4096,)](words)
torch.cuda.synchronize()
