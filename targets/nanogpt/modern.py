"""A small GPT with what has been learnt since GPT-2, and how it is trained: the start where there is a GPU.

`build_model` makes the network, `train` teaches it until the clock has run out. The judge calls both: it owns
the data, the clock and the number. What comes later in the text the network must not use.

Each idea with where it comes from: RMSNorm (Zhang and Sennrich 2019), rotary places (Su et al. 2021), normed
queries and keys (Henry et al. 2020), squared ReLU (So et al. 2021), gates by which each layer goes on from a
share of the embedding (Jordan et al., modded-nanogpt, 2024), values mixed with an embedding of the token
(Zhou et al. 2024), windows of half the context in three of four layers (Child et al. 2019), capped logits
(Gemma Team 2024), outputs that begin at zero (Zhang et al. 2019, Fixup), Muon for matrices (Jordan et al.
2024) with AdamW for the rest, and a linear warm-down (Hägele et al. 2024). On CUDA products are in bfloat16;
attention is PyTorch's, which is Flash where that fits, and FlexAttention for compiled windows.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

SEQUENCE = 64  # range: 32..2048 log
BATCH = 16  # range: 4..256 log
ACCUMULATE = 1  # choices: 1, 2, 4, 8
DEPTH = 2  # range: 1..16
HEADS = 2  # choices: 1, 2, 4, 8
HEAD_SIZE = 32  # choices: 16, 24, 32, 48, 64, 128
WIDEN = 4  # range: 1..6
VALUE_EMBEDDING = True  # choices: True, False
WINDOWS = False  # choices: True, False
CAP = 15.0  # range: 5.0..60.0 log
MUON_RATE = 0.02  # range: 0.003..0.1 log
MOMENTUM = 0.95  # range: 0.8..0.98
EMBEDDING_RATE = 0.03  # range: 0.003..0.5 log
HEAD_RATE = 0.006  # range: 0.0005..0.05 log
BETA_1 = 0.8  # range: 0.6..0.95
BETA_2 = 0.95  # range: 0.9..0.999
WARMDOWN = 0.5  # range: 0.1..1.0

WIDTH = HEADS * HEAD_SIZE
COMPILE = torch.cuda.is_available()  # elsewhere it takes longer than it saves
BF16 = COMPILE and torch.cuda.is_bf16_supported(including_emulation=False)


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],))


class Attention(nn.Module):
    def __init__(self, layer: int) -> None:
        super().__init__()
        short = WINDOWS and layer % 4 != 3 and layer < DEPTH - 1
        self.window = SEQUENCE // 2 if short else SEQUENCE
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        nn.init.uniform_(self.qkv.weight, -math.sqrt(3 / WIDTH), math.sqrt(3 / WIDTH))
        nn.init.zeros_(self.out.weight)
        self.share = nn.Parameter(torch.zeros(1))
        self.seen: BlockMask | None = None  # set where training is compiled

    def forward(self, x: Tensor, values: Tensor | None, turn: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, HEAD_SIZE).unbind(2)
        if values is not None:
            v = v + torch.sigmoid(self.share) * values.view_as(v)
        q, k = turned(norm(q), turn), turned(norm(k), turn)
        q, k, v = (heads.transpose(1, 2) for heads in (q, k, v))
        if self.window >= length:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.seen is not None:  # compiled, it may misread values that are a view
            mixed = flex_attention(q, k, v.contiguous(), block_mask=self.seen)
        else:
            ago = torch.arange(length, device=x.device)[:, None] - torch.arange(length, device=x.device)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=(ago >= 0) & (ago < self.window))
        return self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))


def blocks(length: int, window: int, device: torch.device) -> BlockMask:
    """Which places a place attends to: itself and those before it, less than a window ago."""

    def seen(batch: Tensor, head: Tensor, to: Tensor, at: Tensor) -> Tensor:
        return (to >= at) & (to - at < window)

    return create_block_mask(seen, None, None, length, length, device=device)


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each pair of features by an angle that grows with the place."""
    cosine, sine = turn
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cosine + right * sine, right * cosine - left * sine), dim=-1)


class Block(nn.Module):
    def __init__(self, layer: int) -> None:
        super().__init__()
        self.attention = Attention(layer)
        self.up, self.down = (
            nn.Linear(WIDTH, WIDEN * WIDTH, bias=False),
            nn.Linear(WIDEN * WIDTH, WIDTH, bias=False),
        )
        nn.init.uniform_(self.up.weight, -math.sqrt(3 / WIDTH), math.sqrt(3 / WIDTH))
        nn.init.zeros_(self.down.weight)
        self.stay, self.again = nn.Parameter(torch.ones(1)), nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor, start: Tensor, values: Tensor | None, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = self.stay * x + self.again * start
        x = x + self.attention(norm(x), values, turn)
        return x + self.down(F.relu(self.up(norm(x))).square())


class GPT(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, WIDTH)
        self.value = nn.Embedding(vocabulary, WIDTH) if VALUE_EMBEDDING else None
        self.blocks = nn.ModuleList(Block(layer) for layer in range(DEPTH))
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        nn.init.normal_(self.head.weight, std=0.001)
        speeds = 10_000.0 ** -(torch.arange(HEAD_SIZE // 2) / (HEAD_SIZE // 2))
        angles = torch.outer(torch.arange(SEQUENCE), speeds)[:, None]
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        turn = self.cosine[:length], self.sine[:length]
        x = start = norm(self.token(tokens))
        last = len(self.blocks) - 1
        values = self.value(tokens) if self.value is not None else None
        for layer, block in enumerate(self.blocks):
            x = block(x, start, values if layer == last else None, turn)
        return CAP * torch.tanh(self.head(norm(x)) / CAP)


def build_model(vocabulary: int) -> nn.Module:
    return GPT(vocabulary)


class Muon(torch.optim.Optimizer):
    """Momentum whose step is the nearest orthogonal matrix: five Newton-Schulz iterations of degree five.

    Matrices of one shape are stepped together.
    """

    def __init__(self, matrices: list[Tensor], rate: float) -> None:
        shapes = {weights.shape for weights in matrices}
        groups = [{"params": [one for one in matrices if one.shape == shape]} for shape in sorted(shapes)]
        super().__init__(groups, {"lr": rate})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            slopes = torch.stack([weights.grad for weights in group["params"]])
            state = self.state[group["params"][0]]
            mean = state.setdefault("mean", torch.zeros_like(slopes)).lerp_(slopes, 1 - MOMENTUM)
            steps = nearest(slopes.lerp_(mean, MOMENTUM))
            rows, columns = steps.shape[1:]
            by = -group["lr"] * max(1.0, rows / columns) ** 0.5
            torch._foreach_add_(group["params"], steps.unbind(), alpha=by)


def orthogonal(matrices: Tensor) -> Tensor:
    """The polar factors of some matrices, roughly: singular values end between 0.7 and 1.2."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x.bfloat16() if BF16 else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


nearest = torch.compile(orthogonal) if COMPILE else orthogonal


def rate(progress: float) -> float:
    """The share of each learning rate that holds at a share of the run."""
    return min(1.0, (1 - progress) / WARMDOWN)


def optimizers(model) -> list[torch.optim.Optimizer]:
    matrices = [weights for weights in model.blocks.parameters() if weights.dim() == 2]
    scalars = [weights for weights in model.blocks.parameters() if weights.dim() == 1]
    embeddings = [model.token.weight] + ([model.value.weight] if model.value is not None else [])
    groups = [
        {"params": embeddings, "lr": EMBEDDING_RATE},
        {"params": [model.head.weight], "lr": HEAD_RATE},
        {"params": scalars, "lr": 0.01},
    ]
    adam = torch.optim.AdamW(groups, betas=(BETA_1, BETA_2), eps=1e-10, weight_decay=0.0, fused=True)
    return [Muon(matrices, MUON_RATE), adam]


def train(model, data, clock) -> None:
    """Train until the clock has run out: it yields the share of the budget that is spent."""
    both = optimizers(model)
    groups = [group for optimizer in both for group in optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    model.train()
    if COMPILE:
        for block in model.blocks:
            block.attention.seen = blocks(SEQUENCE, block.attention.window, model.head.weight.device)
    predict = torch.compile(model, dynamic=False) if COMPILE else model
    for progress in clock:
        for group, full in zip(groups, rates, strict=True):
            group["lr"] = full * rate(progress)
        model.zero_grad(set_to_none=True)
        for _ in range(ACCUMULATE):
            inputs, targets = data.batch(BATCH, SEQUENCE)
            with torch.autocast("cuda", torch.bfloat16, enabled=BF16):
                loss = F.cross_entropy(predict(inputs).flatten(0, 1), targets.flatten())
            (loss / ACCUMULATE).backward()
            clock.record(loss)
        for optimizer in both:
            optimizer.step()
