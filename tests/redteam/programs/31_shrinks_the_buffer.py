# row: 31
# attempts: shrinks the buffer of logits while the judge has it mapped
# expects: crashed|invalid
# defence: a sealed memory file
# off: seals
import os

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()

answer, raw = prepare._judge.ask(op="evaluate", batch_size=8)
fd = prepare._judge.fds.pop()

try:
    os.ftruncate(fd, 0)
except OSError:
    pass
prepare._judge.ask(op="logits")
