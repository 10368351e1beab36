"""Train a small GPT: the numbers in a dataclass, the model taking it, everything else in main().

The texture is that of many teaching repositories: one `Config`, attention written out as a masked softmax,
separate projections for queries, keys and values, weight decay for matrices only.
"""

import math
import time
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import DEVICE, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader, progress


@dataclass
class Config:
    """Every number of this script that one would want to change."""

    vocab_size: int = 256  # replaced by the tokenizer's
    block_size: int = MAX_SEQ_LEN
    n_layer: int = 2
    n_head: int = 4  # divides n_embd
    n_embd: int = 64
    dropout: float = 0.0
    batch_size: int = 16
    lr: float = 2e-3
    min_lr_ratio: float = 0.1  # the last learning rate over the largest
    warmup: float = 0.05  # share of the budget
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    grad_clip: float = 1.0
    log_every: int = 100  # knob: fixed


# ---------------------------------------------------------------------------------------------
# Model


class SelfAttention(nn.Module):
    """Multi-head causal attention with an explicit mask."""

    def __init__(self, config):
        super().__init__()
        assert config.n_embd % config.n_head == 0, "n_head must divide n_embd"
        self.n_head = config.n_head
        self.head_dim = config.n_embd // config.n_head
        self.query = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.key = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.value = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.out = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.attn_dropout = nn.Dropout(config.dropout)
        self.resid_dropout = nn.Dropout(config.dropout)
        mask = torch.tril(torch.ones(config.block_size, config.block_size, dtype=torch.bool))
        self.register_buffer("mask", mask, persistent=False)

    def split_heads(self, x):
        """(B, T, n_embd) to (B, n_head, T, head_dim)."""
        B, T, _ = x.shape
        return x.view(B, T, self.n_head, self.head_dim).transpose(1, 2)

    def forward(self, x):
        B, T, C = x.shape
        q = self.split_heads(self.query(x))
        k = self.split_heads(self.key(x))
        v = self.split_heads(self.value(x))
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        scores = scores.masked_fill(~self.mask[:T, :T], float("-inf"))
        weights = self.attn_dropout(F.softmax(scores, dim=-1))
        y = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.resid_dropout(self.out(y))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.attn = SelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.mlp = nn.Sequential(
            nn.Linear(config.n_embd, 4 * config.n_embd),
            nn.ReLU(),
            nn.Linear(4 * config.n_embd, config.n_embd),
            nn.Dropout(config.dropout),
        )

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Tokens (B, T) to logits (B, T, vocab_size)."""

    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.apply(self._init_weights)
        for name, parameter in self.named_parameters():
            if name.endswith("out.weight"):  # the residual stream is a sum over 2 * n_layer branches
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.n_layer))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx):
        positions = torch.arange(idx.shape[1], device=idx.device)
        x = self.drop(self.wte(idx) + self.wpe(positions))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


# ---------------------------------------------------------------------------------------------
# Optimization


def make_optimizer(model, config):
    """AdamW that decays matrices and embeddings, and leaves gains and biases alone."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-8)


def learning_rate(done, config):
    """Linear warm-up, then a cosine down to `min_lr_ratio`; `done` is the share of the budget used."""
    if done < config.warmup:
        return config.lr * max(done, 1e-3) / config.warmup
    phase = min(1.0, (done - config.warmup) / (1.0 - config.warmup))
    cosine = 0.5 * (1.0 + math.cos(math.pi * phase))
    return config.lr * (config.min_lr_ratio + (1.0 - config.min_lr_ratio) * cosine)


def train(model, optimizer, loader, config):
    """Train until the loader ends, which it does when the budget is used; returns the tokens seen."""
    model.train()
    tokens = 0
    for step, (x, y, epoch) in enumerate(loader):
        lr = learning_rate(progress(), config)
        for group in optimizer.param_groups:
            group["lr"] = lr
        logits = model(x)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), y.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        tokens += x.numel()
        if step % config.log_every == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}  lr {lr:.2e}  epoch {epoch}")
    return tokens


def main():
    tokenizer = Tokenizer.from_directory()
    config = Config(vocab_size=tokenizer.get_vocab_size())
    model = GPT(config).to(DEVICE)
    optimizer = make_optimizer(model, config)
    loader = make_dataloader(tokenizer, config.batch_size, config.block_size, "train")

    start = time.perf_counter()
    tokens = train(model, optimizer, loader, config)
    seconds = time.perf_counter() - start

    model.eval()
    val_bpb = evaluate_bpb(model, tokenizer, config.batch_size)
    print(f"val_bpb {val_bpb:.4f} after {TIME_BUDGET:g} s: {tokens / seconds:.0f} tokens/s")


if __name__ == "__main__":
    main()
