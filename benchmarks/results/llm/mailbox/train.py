"""Train a small GPT on text and print its validation loss: a plain GPT-2, as simple as it gets.

Run it by hand with `python train_target/train.py`. Everything worth changing is in this file; `prepare`
owns the data, the clock, the seed and the evaluation. The train iterator ends when the budget is used.
"""

import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader, progress

# ---------------------------------------------------------------------------------------------
# Hyperparameters

DEPTH = 1  # transformer blocks
DIM = 48  # width of the residual stream
BUCKETS = 4096  # rows of the table of hashed n-grams  # knob: 4096|8192|16384|32768
HEADS = 8  # attention heads, divides DIM
MLP_RATIO = 3  # hidden width of the MLP over DIM
INIT_STD = 0.006073  # standard deviation of the initial weights
BATCH_SIZE = 16  # sequences in a step
LEARNING_RATE = 8.113e-3
EMBEDDING_LR = 1.084e-2  # of the tables, without weight decay
COOLDOWN = 0.3349  # share of the budget over which the rate falls  # knob: 0.1..0.8
WEIGHT_DECAY = 0.3889
BETA1 = 0.7438
BETA2 = 0.9101
GRAD_CLIP = 9.484  # largest norm of the gradient
COMPILE = False  # worth it where a step is long

# ---------------------------------------------------------------------------------------------
# Model


class Attention(nn.Module):
    """Causal self-attention with several heads."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(x).split(C, dim=2)
        q = q.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        k = k.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        v = v.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(B, T, C)
        return self.proj(y)


class MLP(nn.Module):
    """Two linear layers with a nonlinearity between them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(DIM, MLP_RATIO * DIM)
        self.proj = nn.Linear(MLP_RATIO * DIM, DIM)

    def forward(self, x):
        x = self.fc(x)
        x = F.gelu(x)
        return self.proj(x)


class Block(nn.Module):
    """One transformer block: attention, then MLP, each on a normalised input and added back."""

    def __init__(self, local):
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attn = nn.Linear(3 * DIM, DIM) if local else Attention()
        self.local = local
        self.norm2 = nn.LayerNorm(DIM)
        self.mlp = MLP()

    def forward(self, x):
        h = self.norm1(x)
        if self.local:
            one, two = (F.pad(h, (0, 0, back, 0))[:, : h.shape[1]] for back in (1, 2))
            h = torch.cat((h, one, two), dim=-1)
        x = x + self.attn(h)
        x = x + self.mlp(self.norm2(x))
        return x


class GPT(nn.Module):
    """A decoder-only transformer: tokens (B, T) to logits (B, T, vocabulary)."""

    def __init__(self, vocab_size):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, DIM)
        self.ngram_embs = nn.ModuleList([nn.Embedding(BUCKETS, DIM) for _ in range(3)])
        self.copy_emb = nn.Embedding(vocab_size, DIM)
        self.blocks = nn.ModuleList([Block(local=i == 0) for i in range(DEPTH)])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, vocab_size, bias=False)
        self.apply(self.init_weights)
        nn.init.zeros_(self.head.weight)

    def init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=INIT_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def ngrams(self, idx):
        """Hashed embeddings of the two to four bytes that end at each position, a table each, (B, T, DIM)."""
        code, total = idx * 36313, 0
        for back, (factor, table) in enumerate(zip((27191, 51437, 60493), self.ngram_embs), 1):
            code = code + F.pad(idx, (back, 0))[:, :-back] * factor
            total = total + table(code % BUCKETS)
        return total

    def repeats(self, idx):
        """The byte that followed the last earlier occurrence of the three bytes ending here, 0 if there is none, (B, T)."""
        B, T = idx.shape
        one, two = F.pad(idx, (1, 0))[:, :-1], F.pad(idx, (2, 0))[:, :-2]
        code = (idx * 65536 + one * 256 + two) * T + torch.arange(T, device=idx.device)
        code, order = code.sort(dim=1)
        same = F.pad(code[:, 1:] // T == code[:, :-1] // T, (1, 0))
        after = F.pad(order, (1, 0))[:, :-1] + 1
        guess = torch.where(same, idx.gather(1, after.clamp(max=T - 1)), 0)
        return torch.zeros_like(idx).scatter(1, order, guess)

    def forward(self, idx):
        x = self.tok_emb(idx) + self.ngrams(idx) + self.copy_emb(self.repeats(idx))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x)


# ---------------------------------------------------------------------------------------------
# Setup

tokenizer = Tokenizer.from_directory()
vocab_size = tokenizer.get_vocab_size()
model = GPT(vocab_size).to(DEVICE)
num_params = sum(p.numel() for p in model.parameters())
if COMPILE:
    model = torch.compile(model)
autocast = torch.autocast(device_type=DEVICE, dtype=torch.bfloat16, enabled=DEVICE == "cuda")

optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), weight_decay=WEIGHT_DECAY)


tables = [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]
others = [p for p in model.parameters() if not any(p is t for t in tables)]
optimizer = torch.optim.AdamW(
    [
        {"params": tables, "lr": EMBEDDING_LR, "weight_decay": 0.0},
        {"params": others, "lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY},
    ],
    betas=(BETA1, BETA2),
)


def train_step(x, y):
    """One optimizer step on inputs and targets (B, T); returns the loss as a tensor."""
    left = min(1.0, (1.0 - progress()) / COOLDOWN)
    for group in optimizer.param_groups:
        group.setdefault("top", group["lr"])
        group["lr"] = group["top"] * (1.0 - (1.0 - left) ** 0.5)
    with autocast:
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, vocab_size).float(), y.view(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
    optimizer.step()
    return loss


# ---------------------------------------------------------------------------------------------
# Training loop

train_loader = make_dataloader(tokenizer, BATCH_SIZE, MAX_SEQ_LEN, "train")
start = time.perf_counter()
tokens = 0
for step, (x, y, epoch) in enumerate(train_loader):
    loss = train_step(x, y)
    tokens += x.numel()
    if step % 25 == 0:
        print(f"step {step:5d}  loss {loss.item():.4f}  epoch {epoch}")
seconds = time.perf_counter() - start

# ---------------------------------------------------------------------------------------------
# Evaluation

model.eval()
val_bpb = evaluate_bpb(model, tokenizer, BATCH_SIZE)
print(f"val_bpb {val_bpb:.4f} after {TIME_BUDGET:g} s: {num_params} parameters, {tokens / seconds:.0f} tokens/s")
