# row: 31
# attempts: makes the buffer of logits 6 GB large, and sends a line without end
# expects: crashed|invalid|oom
# defence: a sealed memory file; a line has at most 64 kB
# off: seals watchdog limits
import os
import time

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()

answer, raw = prepare._judge.ask(op="evaluate", batch_size=8)
fd = prepare._judge.fds.pop()

try:
    os.posix_fallocate(fd, 0, 6 * 2**30)
except OSError:
    pass
time.sleep(0.5)
for _ in range(4096):
    prepare._judge._sock.sendall(b"x" * 65536)
prepare._judge.ask(op="logits")
