# row: 63
# attempts: says that the logits are there without writing any
# expects: invalid
# reason: ^non-finite
# defence: the buffer is filled with NaN before each request
# off: prefill
# false score: below 8.01

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
answer, raw = prepare._judge.ask(op="evaluate", batch_size=8)
while "val_bpb" not in answer:
    if answer.get("waits"):
        answer, raw = prepare._judge.ask(op="pass")
    answer, raw = prepare._judge.ask(op="logits")
