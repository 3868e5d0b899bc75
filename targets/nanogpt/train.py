"""A small GPT and how it is trained: the one file that may change.

`build_model` makes the network, `train` teaches it until the clock has run out. The judge calls both: it owns
the data, the clock and the number. The network takes token numbers (batch, length) and answers logits
(batch, length, vocabulary), for the next token at each place; what comes later it must not use.

This is GPT-2 as of 2019, in small: learned places, LayerNorm, GELU, tied embedding, AdamW, a constant rate.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# What matters most stands first: a search turns the first ones first.
LEARNING_RATE = 1e-3  # range: 0.0003..0.03 log
WARMDOWN = 0.0  # range: 0.0..1.0
DEPTH = 2  # choices: 1, 2, 3, 4, 6
BATCH = 16  # range: 4..64 log
INIT = 0.02  # range: 0.005..0.2 log
BETA_2 = 0.999  # range: 0.9..0.999
WIDEN = 4  # range: 1..6
SEQUENCE = 64  # range: 32..256 log
HEAD_SIZE = 32  # choices: 16, 24, 32, 48, 64
HEADS = 2  # choices: 1, 2, 4, 8
BETA_1 = 0.9  # range: 0.6..0.95
WARMUP = 0.0  # range: 0.0..0.2
CLIP = 1.0  # range: 0.1..10.0 log
WEIGHT_DECAY = 0.1  # range: 0.0..0.3

WIDTH = HEADS * HEAD_SIZE


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, WIDEN * WIDTH), nn.Linear(WIDEN * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        heads = self.qkv(self.norm_1(x)).view(batch, length, 3, HEADS, HEAD_SIZE).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads.unbind(0), is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class GPT(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, WIDTH), nn.Embedding(SEQUENCE, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        for name, weights in self.named_parameters():
            if weights.dim() == 2:
                nn.init.normal_(weights, std=INIT)
            elif name.endswith("bias"):
                nn.init.zeros_(weights)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.place.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.token.weight)


def build_model(vocabulary: int) -> nn.Module:
    return GPT(vocabulary)


def rate(progress: float) -> float:
    """The share of the learning rate that holds at a share of the run."""
    up = (progress + 0.01) / WARMUP if WARMUP else 1.0
    down = (1 - progress) / WARMDOWN if WARMDOWN else 1.0
    return min(1.0, up, down)


def train(model, data, clock) -> None:
    """Train until the clock has run out: it yields the share of the budget that is spent."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(BETA_1, BETA_2), weight_decay=WEIGHT_DECAY, fused=True
    )
    for progress in clock:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate(progress)
        inputs, targets = data.batch(BATCH, SEQUENCE)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        clock.record(loss)
