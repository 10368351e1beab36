# row: 21
# attempts: sends a word by TCP, UDP and as a question to a name server
# expects: ok
# defence: network namespace, seccomp
# off: namespaces seccomp landlock mount
import socket

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)


def tcp():
    with socket.create_connection(("127.0.0.1", int("<tcp>")), timeout=1) as link:
        link.sendall(b"<mark> by tcp")


def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"<mark> by udp", ("127.0.0.1", int("<udp>")))


def dns():
    name = b"\x10<mark>\x04test\x00"
    question = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + name + b"\x00\x01\x00\x01"
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, ("127.0.0.1", int("<udp>")))


for attempt in (tcp, udp, dns):
    try:
        attempt()
    except OSError:
        continue
evaluate_bpb(model, tokenizer, 8)
