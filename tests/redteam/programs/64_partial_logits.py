# row: 64
# attempts: writes the first half of the buffer, the rest is from before
# expects: invalid
# reason: ^non-finite
# defence: the buffer is filled with NaN before each request
# off: finite prefill
import mmap

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
answer, raw = prepare._judge.ask(op="evaluate", batch_size=8)
R, T, V = answer["shape"]
memory = mmap.mmap(prepare._judge.fds.pop(), 4 * R * T * V)
while "val_bpb" not in answer:
    if answer.get("waits"):
        answer, raw = prepare._judge.ask(op="pass")
    memory[: 2 * R * T * V] = bytes(2 * R * T * V)
    answer, raw = prepare._judge.ask(op="logits")
