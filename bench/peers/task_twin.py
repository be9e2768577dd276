"""An independent twin of a classification task's layer in PyTorch, to check rankings before they are believed.

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


keys_ND, classes_VD = read("input.f32", "<f4").view(-1, D), read("output.f32", "<f4").view(-1, D)
group_N = read("group.i32", "<i4").long()

# Experts' number and width are in units of the task's: `dense` has one of the same width, `wide` one of all widths together.
ARMS = {
    "no experts": dict(route="none"),
    "random": dict(route="random"),
    "dense": dict(route="all", E=1),
    "wide": dict(route="all", E=1, F=TASK["F"] * TASK["E"]),
    "best": dict(route="group"),
    "switch": dict(route="gate", capacity=CAPACITY),
    "switch dropless": dict(route="gate"),
    "top-2": dict(route="gate", k=2, E=2 * TASK["E"], F=TASK["F"] // 2),
}


class Layer(torch.nn.Module):
    """One MoE layer with its residual, a normalisation with learned gain, and scores against frozen vectors."""

    def __init__(self, route, E=TASK["E"], F=TASK["F"], k=1, capacity=None):
        super().__init__()
        self.route, self.E, self.k, self.capacity = route, E, k, capacity
        new = torch.nn.Parameter
        self.gate = new(torch.nn.init.trunc_normal_(torch.empty(D, E), std=math.sqrt(0.1 / D)))
        self.w_in, self.b_in = new(torch.randn(E, D, F) / math.sqrt(D)), new(torch.zeros(E, F))
        self.w_out, self.b_out = new(torch.randn(E, F, D) / math.sqrt(F)), new(torch.zeros(E, D))
        self.gain = new(torch.ones(D))

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

    def forward(self, ids, target, training):
        x = keys_ND[ids]
        weight, balance = self.weights(x, ids, training)
        hidden = torch.relu(torch.einsum("td,edf->tef", x, self.w_in) + self.b_in)
        each = torch.einsum("tef,efd->ted", hidden, self.w_out) + self.b_out
        y = x + (weight[:, :, None] * each).sum(1)
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6) * self.gain
        return F.cross_entropy(y @ classes_VD.T, target), balance


def loss_of(arm, seed):
    torch.manual_seed(seed)
    layer = Layer(**ARMS[arm])
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1, betas=(0.9, 0.95), weight_decay=0)
    batches = read(f"train_{seed}.i32", "<i4").long().view(STEPS, 2, T)
    for step, (ids, target) in enumerate(batches):
        loss, balance = layer(ids, target, True)
        optimizer.zero_grad()
        (loss + balance).backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = TASK["learningRates"][step]
        optimizer.step()
    judged = read("judged.i32", "<i4").long().view(-1, 2, T)
    with torch.no_grad():
        return sum(float(layer(ids, target, False)[0]) for ids, target in judged) / len(judged)


print(json.dumps({"task": TASK["task"], "digest": TASK["digest"], "torch": torch.__version__}))
for arm in CHOSEN or ARMS:
    losses = [round(loss_of(arm, seed), 4) for seed in range(TASK["seeds"])]
    print(json.dumps({"arm": arm, "losses": losses}), flush=True)
