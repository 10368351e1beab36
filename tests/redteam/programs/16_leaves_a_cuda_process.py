# row: 16
# gpu: yes
# attempts: leaves a daemon of its own session that holds 8 GiB of the device and computes on
# expects: ok
# says: HOLDS 8 GiB
# defence: all that runs below a box ends with it; the device's memory has to be back before the next trial
# note: 07_leaves_a_daemon shows the same daemon without the defence
import os
import subprocess
import sys
import time

from torch import nn

from prepare import DEVICE, Tokenizer, evaluate_bpb

DAEMON = """
import ctypes, os, signal, time
if os.fork():
    os._exit(0)
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
import torch
kept = torch.ones(2**31, device="cuda")
torch.cuda.synchronize()
print("HOLDS 8 GiB", flush=True)
open("held", "w").close()
for _ in range(6000):
    kept.add_(1)
    time.sleep(0.1)
"""

libraries = {"LD_LIBRARY_PATH": os.environ.get("TRITON_LIBCUDA_PATH", "")}
subprocess.run([sys.executable, "-c", DAEMON], env=os.environ | libraries, start_new_session=True)
while not os.path.exists("held"):
    time.sleep(0.05)
time.sleep(0.5)
tokenizer = Tokenizer.from_directory()
size = tokenizer.get_vocab_size()
model = nn.Sequential(nn.Embedding(size, 16), nn.Linear(16, size)).to(DEVICE)
evaluate_bpb(model, tokenizer, 8)
