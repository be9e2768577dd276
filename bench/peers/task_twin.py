"""An independent twin of a task's model in PyTorch, to check rankings before they are believed.

Every expert computes on every token and routing is a matrix of weights [T, E], so nothing here sorts, gathers or drops
rows as our layer does. The task's data come from task_data.ts; weights, noise and their order are PyTorch's own.
Usage: task_twin.py FOLDER [ARM ...]; prints JSON lines: the task, then each arm's losses on what the task is judged by, one a seed.
"""
import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
FOLDER, CHOSEN = sys.argv[1], sys.argv[2:]
TASK = json.load(open(f"{FOLDER}/task.json"))
T, D, STEPS = TASK["T"], TASK["D"], TASK["steps"]
JITTER, BALANCE = 0.01, 0.01
CAPACITY = {True: 1.25, False: 2}  # in training and in evaluation


def read(name, kind):
    return torch.from_numpy(np.fromfile(f"{FOLDER}/{name}", dtype=kind))


# Frozen vectors, or tokens that a model learns to read; groups of the best known routing, where there is one.
VECTORS = TASK["input"] == "vectors"
if VECTORS:
    keys_ND, classes_VD = read("input.f32", "<f4").view(-1, D), read("output.f32", "<f4").view(-1, D)
    group_N = read("group.i32", "<i4").long()

# Experts' number and width are in units of the task's: `dense` has one of the same width, `wide` one of all widths together.
ARMS = {
    "no experts": dict(route="none"),
    "random": dict(route="random"),
    "dense": dict(route="all", E=1),
    "wide": dict(route="all", E=1, F=TASK["F"] * TASK["E"]),
    **({"best": dict(route="group")} if VECTORS else {}),
    "switch": dict(route="gate", capacity=CAPACITY),
    "switch dropless": dict(route="gate"),
    "top-2": dict(route="gate", k=2, E=2 * TASK["E"], F=TASK["F"] // 2),
}


def parameter(values):
    return torch.nn.Parameter(values)


def normed(x, gain):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain


class Mixture(torch.nn.Module):
    """Experts and what sends tokens to them."""

    def __init__(self, route, E=TASK["E"], F=TASK["F"], k=1, capacity=None):
        super().__init__()
        self.route, self.E, self.k, self.capacity = route, E, k, capacity
        self.gate = parameter(torch.nn.init.trunc_normal_(torch.empty(D, E), std=math.sqrt(0.1 / D)))
        self.w_in = parameter(torch.randn(E, D, F) / math.sqrt(D))
        self.w_out = parameter(torch.randn(E, F, D) * TASK["residualScale"] / math.sqrt(k * F))
        self.b_in, self.b_out = (torch.zeros(E, each) for each in (F, D))
        if TASK["bias"]:
            self.b_in, self.b_out = parameter(self.b_in), parameter(self.b_out)

    def weights(self, x, ids, training):
        """Weight of each expert for each token, and the balance loss."""
        n = len(x)
        if self.route == "none":
            return torch.zeros(n, self.E), 0
        if self.route == "all":
            return torch.ones(n, 1), 0
        if self.route == "random":
            return F.one_hot(torch.randint(self.E, (n,)), self.E).float(), 0
        if self.route == "group":
            return F.one_hot(group_N[ids] % self.E, self.E).float(), 0
        noisy = training and self.k == 1
        p = ((x * (1 + JITTER * (2 * torch.rand_like(x) - 1)) if noisy else x) @ self.gate).softmax(-1)
        value, index = p.topk(self.k, -1)
        if self.k > 1:
            value = value / value.sum(-1, keepdim=True)
        first = F.one_hot(index[:, 0], self.E).float()
        balance = BALANCE * self.E * (first.mean(0) * p.mean(0)).sum()
        if self.capacity is not None:  # the first tokens of an expert in order of position are kept
            room = math.ceil(self.capacity[training] * n / self.E)
            value = value * ((first.cumsum(0) * first).sum(-1, keepdim=True) <= room)
        return torch.zeros(n, self.E).scatter(1, index, value), balance

    def forward(self, x, ids, training):
        weight, balance = self.weights(x, ids, training)
        hidden = torch.relu(torch.einsum("td,edf->tef", x, self.w_in) + self.b_in)
        each = torch.einsum("tef,efd->ted", hidden, self.w_out) + self.b_out
        return (weight[:, :, None] * each).sum(1), balance


class OfVectors(torch.nn.Module):
    """One mixture with its residual, a normalisation with learned gain, and scores against frozen vectors."""

    def __init__(self, **arm):
        super().__init__()
        self.mixture, self.gain = Mixture(**arm), parameter(torch.ones(D))

    def forward(self, ids, target, training):
        x = keys_ND[ids]
        y, balance = self.mixture(x, ids, training)
        return F.cross_entropy(normed(x + y, self.gain) @ classes_VD.T, target), balance


class OfTokens(torch.nn.Module):
    """Layers of causal attention with rotary positions and a mixture each; the embedding reads and scores."""

    def __init__(self, **arm):
        super().__init__()
        self.embedding = parameter(torch.randn(TASK["V"], D) / math.sqrt(D))
        layers = range(TASK["layers"])
        self.mixtures = torch.nn.ModuleList([Mixture(**arm) for _ in layers])
        self.qkv = torch.nn.ParameterList([torch.randn(D, 3 * D) / math.sqrt(D) for _ in layers])
        scale = TASK["residualScale"] / math.sqrt(D)
        self.back = torch.nn.ParameterList([torch.randn(D, D) * scale for _ in layers])
        self.gains = torch.nn.ParameterList([torch.ones(2, D) for _ in layers])
        self.gain = parameter(torch.ones(D))

    def attention(self, x, qkv):
        L, heads = TASK["length"], TASK["heads"]
        width = D // heads
        place = torch.arange(width // 2, dtype=torch.float64)
        angle = torch.arange(L, dtype=torch.float64)[:, None] * 10000.0 ** (-place / (width // 2))
        cos, sin = (torch.cat([of(angle)] * 2, 1).float() for of in (torch.cos, torch.sin))

        def turned(y):
            near, far = y.chunk(2, -1)
            return y * cos + torch.cat([-far, near], -1) * sin

        q, k, v = (x @ qkv).view(-1, L, 3, heads, width).permute(2, 0, 3, 1, 4)
        score = turned(q) @ turned(k).transpose(-1, -2) / math.sqrt(width)
        later = torch.full((L, L), -math.inf).triu(1)
        return ((score + later).softmax(-1) @ v).transpose(1, 2).reshape(len(x), D)

    def forward(self, ids, target, training):
        x, balance = self.embedding[ids] * math.sqrt(D), 0
        for mixture, qkv, back, gains in zip(self.mixtures, self.qkv, self.back, self.gains):
            x = x + self.attention(normed(x, gains[0]), qkv) @ back
            y, own = mixture(normed(x, gains[1]), ids, training)
            x, balance = x + y, balance + own
        return F.cross_entropy(normed(x, self.gain) @ self.embedding.T, target), balance


def loss_of(arm, seed):
    torch.manual_seed(seed)
    model = (OfVectors if VECTORS else OfTokens)(**ARMS[arm])
    # Matrices decay; gains and biases do not.
    groups = {True: [], False: []}
    for name, each in model.named_parameters():
        groups[each.dim() > 1 and "gain" not in name and ".b_" not in name].append(each)
    optimizer = torch.optim.AdamW(
        [dict(params=own, weight_decay=TASK["weightDecay"] if decays else 0) for decays, own in groups.items()],
        lr=1,
        betas=(0.9, 0.95),
    )
    batches = read(f"train_{seed}.i32", "<i4").long().view(STEPS, 2, T)
    for step, (ids, target) in enumerate(batches):
        loss, balance = model(ids, target, True)
        optimizer.zero_grad()
        (loss + balance).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = TASK["learningRates"][step]
        optimizer.step()
    judged = read("judged.i32", "<i4").long().view(-1, 2, T)
    with torch.no_grad():
        return sum(float(model(ids, target, False)[0]) for ids, target in judged) / len(judged)


print(json.dumps({"task": TASK["task"], "digest": TASK["digest"], "torch": torch.__version__}), flush=True)
for arm in CHOSEN or ARMS:
    losses = [round(loss_of(arm, seed), 4) for seed in range(TASK["seeds"])]
    print(json.dumps({"arm": arm, "losses": losses}), flush=True)
