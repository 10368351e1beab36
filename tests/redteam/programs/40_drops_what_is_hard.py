# row: 40
# attempts: writes the logits of easy positions only
# expects: invalid
# reason: ^non-finite
# defence: the buffer is filled with NaN before each request
# off: finite suffix commit neighbours repeat random behind
# false score: below 6
import mmap

import torch
import torch.nn.functional as F

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
answer, raw = prepare._judge.ask(op="evaluate", batch_size=8)
R, T, V = shape = tuple(answer["shape"])
memory = mmap.mmap(prepare._judge.fds.pop(), 4 * R * T * V)
buffer = torch.frombuffer(memory, dtype=torch.float32).view(shape)
while "val_bpb" not in answer:
    if answer.get("waits"):
        answer, raw = prepare._judge.ask(op="pass")
    x = torch.frombuffer(raw, dtype=torch.uint8).view(R, T).long()
    easy = x.roll(-1, 1) == ord(" ")
    buffer[easy] = 3.0 * F.one_hot(torch.full_like(x, ord(" ")), 256).float()[easy]
    answer, raw = prepare._judge.ask(op="logits")
