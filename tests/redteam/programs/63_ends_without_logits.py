# row: 63
# attempts: takes the inputs and ends with exit code 0
# expects: crashed
# reason: without a call of evaluate_bpb|exit code 0|closed its connection|without
# defence: a score needs all logits
# note: without an answer there is no number to take; see 01 and 55
import os

import prepare
from prepare import Tokenizer

tokenizer = Tokenizer.from_directory()
prepare._judge.ask(op="evaluate", batch_size=8)
os._exit(0)
