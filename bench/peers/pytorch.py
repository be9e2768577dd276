"""PyTorch as a contender, eager, on the CPU: in whichever formulation is fastest here ("pytorch"), as the usual loop over
experts ("pytorch-loop"), and as Hugging Face's Mixtral block ("huggingface-mixtral").

Started as `pytorch.py NAME THREADS`; speaks the protocol of contender.ts: requests are JSON lines, answers follow "@ ".
"""
import json
import math
import os
import sys
import time

NAME, THREADS = sys.argv[1], int(sys.argv[2])

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print goes to standard error


class Missing(Exception):
    pass


def say(answer):
    answers.write("@ " + json.dumps(answer) + "\n")
    answers.flush()


try:
    import numpy
    import torch
    import torch.nn.functional as F
except ImportError as error:
    say({"cannot": f"{sys.executable} has no PyTorch: {error}"})
    sys.exit(0)

# Without MKL products run on another BLAS with threads of its own (OPENBLAS_NUM_THREADS), and PyTorch's OpenMP threads
# fight it over the cores: then both ways are tried.
OWN_BLAS = "MKL not found" not in torch.__config__.parallel_info()
THREAD_CHOICES = [THREADS] if OWN_BLAS else sorted({1, THREADS})
torch.set_num_threads(THREADS)


class Task:
    def __init__(self, folder):
        with open(f"{folder}/workload.json") as file:
            facts = json.load(file)
        self.name, self.sizes, self.shapes, self.folder = facts["name"], facts["sizes"], facts["shapes"], folder

    def tensor(self, name):
        whole = os.path.exists(f"{self.folder}/{name}.i32")
        kind = "i32" if whole else "f32"
        values = torch.from_numpy(numpy.fromfile(f"{self.folder}/{name}.{kind}", dtype=whole and "<i4" or "<f4"))
        return (values.long() if whole else values).reshape(self.shapes[name])


class Call:
    """A workload in one formulation: `run` makes a call, `outputs` makes one and says what came out."""

    def __init__(self, run, outputs):
        self.run, self.outputs = run, outputs


# Routing and experts


def route(logits):
    value, index = logits.topk(2, dim=1)
    return value.softmax(1), index


def by_expert(index, experts):
    """Assignments (token times 2 plus choice) in the order of experts, and how many each has."""
    flat = index.flatten()
    return torch.argsort(flat, stable=True), torch.bincount(flat, minlength=experts)


def combine(rows, order, weight, how):
    tokens = weight.shape[0]
    if how == "index_add":
        weighted = rows * weight.flatten()[order][:, None]
        return torch.zeros(tokens, rows.shape[1]).index_add(0, order // 2, weighted)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    pairs = rows[place].view(tokens, 2, -1)
    return torch.bmm(weight[:, None, :], pairs)[:, 0] if how == "bmm" else (pairs * weight[:, :, None]).sum(1)


def expert_units(kind, rows, first, third, product):
    hidden = product(rows, first)
    if kind == "swiglu":
        return F.silu(hidden) * product(rows, third)
    return F.relu(hidden) if kind == "relu" else F.gelu(hidden)


def sorted_split(kind, how):
    """Tokens sorted by expert, one product for each expert and layer."""

    def layer(x, router, first, second, third=None):
        weight, index = route(x @ router)
        order, counts = by_expert(index, first.shape[0])
        blocks = x[order // 2].split(counts.tolist())
        thirds = third.unbind(0) if third is not None else [None] * len(blocks)
        rows = [
            expert_units(kind, block, w1, w3, torch.mm) @ w2
            for block, w1, w2, w3 in zip(blocks, first.unbind(0), second.unbind(0), thirds)
        ]
        return combine(torch.cat(rows), order, weight, how)

    return layer


def padded_batch(kind):
    """Every expert padded to the fullest one's rows, one batched product for each layer."""

    def layer(x, router, first, second, third=None):
        experts, tokens = first.shape[0], x.shape[0]
        weight, index = route(x @ router)
        order, counts = by_expert(index, experts)
        most = int(counts.max())
        expert = index.flatten()[order]
        slot = expert * most + torch.arange(2 * tokens) - (counts.cumsum(0) - counts)[expert]
        token = torch.zeros(experts * most, dtype=torch.long)
        token[slot] = order // 2
        units = expert_units(kind, x[token].view(experts, most, -1), first, third, torch.bmm)
        return combine(torch.bmm(units, second).flatten(0, 1)[slot], order, weight, "bmm")

    return layer


def grouped_product(kind):
    """PyTorch's own grouped product, where there is one."""

    def layer(x, router, first, second, third=None):
        weight, index = route(x @ router)
        order, counts = by_expert(index, first.shape[0])
        ends = counts.cumsum(0).to(torch.int32)
        product = lambda rows, bank: F.grouped_mm(rows, bank, offs=ends)
        units = expert_units(kind, x[order // 2], first, third, product)
        return combine(product(units, second), order, weight, "bmm")

    return layer


def loop(kind):
    """The usual loop: for each expert find its tokens, compute, add."""

    def layer(x, router, first, second, third=None):
        weight, index = route(x @ router)
        y = torch.zeros_like(x)
        for expert in range(len(first)):
            token, choice = torch.where(index == expert)
            w3 = third[expert] if third is not None else None
            rows = expert_units(kind, x[token], first[expert], w3, torch.mm) @ second[expert]
            y.index_add_(0, token, rows * weight[token, choice][:, None])
        return y

    return layer


def layers(kind):
    """Formulations of a layer by name, and whether each has its experts' weights one by one."""
    if NAME == "pytorch-loop":
        return {"loop": (loop(kind), True)}
    found = {f"sorted, {how}": (sorted_split(kind, how), False) for how in ("gather", "bmm", "index_add")}
    found["padded batch"] = (padded_batch(kind), False)
    found["loop"] = (loop(kind), True)
    if hasattr(F, "grouped_mm"):
        found["grouped_mm"] = (grouped_product(kind), False)
    return found


# Workloads: every entry gives formulations by name, each a function that starts afresh


def products(task):
    if task.name == "grouped":
        s = task.sizes
        x, w = task.tensor("x").view(s["E"], s["rows"], s["K"]), task.tensor("w")
        run = lambda: torch.bmm(x, w)
    elif task.name == "softmax":
        x = task.tensor("x")
        run = lambda: torch.softmax(x, 1)
    else:
        a, b = task.tensor("a"), task.tensor("b")
        run = lambda: a @ b

    def quiet():
        with torch.inference_mode():
            return run()

    return {"": lambda: Call(quiet, lambda: {"y": quiet()})}


def weights(task, kind, one_by_one, grad=True):
    """The layer's inputs; a loop has a parameter for each expert, as modules in a list have."""
    names = ["x", "router", "first", "second"] + (["third"] if kind == "swiglu" else [])
    found = {}
    for name in names:
        value = task.tensor(name)
        if one_by_one and value.dim() == 3:
            found[name] = [part.clone().requires_grad_(grad) for part in value]
        else:
            found[name] = value.requires_grad_(grad)
    return found


def flat(values):
    return [part for value in values for part in (value if isinstance(value, list) else [value])]


def together(values, parts):
    """Parts in the shape of `values`: lists stacked."""
    parts = iter(parts)
    return [
        torch.stack([next(parts) for _ in value]) if isinstance(value, list) else next(parts) for value in values
    ]


def forward(task, kind):
    def make(layer, one_by_one):
        inputs = weights(task, kind, one_by_one, grad=False)

        def run():
            with torch.inference_mode():
                return layer(**inputs)

        return Call(run, lambda: {"y": run()})

    return {name: lambda one=one: make(*one) for name, one in layers(kind).items()}


def gradient(task, kind):
    def make(layer, one_by_one):
        inputs, target = weights(task, kind, one_by_one), task.tensor("target")

        def run():
            loss = (layer(**inputs) - target).square().mean()
            return loss, torch.autograd.grad(loss, flat(inputs.values()))

        def outputs():
            loss, found = run()
            named = zip(inputs, together(inputs.values(), found))
            return {"loss": loss.detach(), **{f"d{name}": value for name, value in named}}

        return Call(run, outputs)

    return {name: lambda one=one: make(*one) for name, one in layers(kind).items()}


def optimizers():
    """Ways AdamW comes in; which of them is fastest depends on version and processor."""
    return [{}, {"foreach": True}] + ([{"fused": True}] if torch.__version__ >= "2.4" else [])


def settings(sizes):
    return {
        "lr": sizes["learningRate"],
        "betas": (sizes["beta1"], sizes["beta2"]),
        "eps": sizes["epsilon"],
    }


def train(task, kind):
    def make(layer, one_by_one, how):
        inputs, target = weights(task, kind, one_by_one), task.tensor("target")
        x = inputs.pop("x").requires_grad_(False)
        optimizer = torch.optim.AdamW(
            flat(inputs.values()), weight_decay=task.sizes["weightDecay"], **settings(task.sizes), **how
        )
        loss_of = lambda: (layer(x, **inputs) - target).square().mean()

        def run():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of()
            loss.backward()
            optimizer.step()
            return loss

        def outputs():
            first = run()
            with torch.no_grad():
                found = {"loss": first, "nextLoss": loss_of()}
            named = zip(inputs, together(inputs.values(), flat(inputs.values())))
            return {name: value.detach() for name, value in [*found.items(), *named]}

        return Call(run, outputs)

    # The usual loop comes with the usual optimizer.
    hows = [{}] if NAME == "pytorch-loop" else optimizers()
    return {
        f"{name}, AdamW {' '.join(how) or 'default'}": lambda one=one, how=how: make(*one, how)
        for name, one in layers(kind).items()
        for how in hows
    }


def mixtral(task):
    try:
        import transformers
        from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
    except ImportError as error:
        raise Missing(f"{sys.executable} has no Mixtral block: {error}")
    s = task.sizes

    def make(implementation):
        config = transformers.MixtralConfig(
            hidden_size=s["D"], intermediate_size=s["F"], num_local_experts=s["E"], num_experts_per_tok=2
        )
        config._experts_implementation = implementation
        block = MixtralSparseMoeBlock(config)
        experts, gate = block.experts, block.gate
        with torch.no_grad():
            both = torch.cat([task.tensor("first"), task.tensor("third")], 2)  # gate, then up
            experts.gate_up_proj.copy_(both.transpose(1, 2))
            experts.down_proj.copy_(task.tensor("second").transpose(1, 2))
            gate.weight.copy_(task.tensor("router").t())
        x, target = task.tensor("x").requires_grad_(), task.tensor("target")
        params = [x, gate.weight, experts.gate_up_proj, experts.down_proj]

        def run():
            found = block(x[None])
            y = found[0] if isinstance(found, tuple) else found
            loss = (y.reshape(x.shape) - target).square().mean()
            return loss, torch.autograd.grad(loss, params)

        def outputs():
            loss, (dx, drouter, dboth, dsecond) = run()
            dfirst, dthird = dboth.transpose(1, 2).split(s["F"], 2)
            return {
                "loss": loss.detach(), "dx": dx, "drouter": drouter.t(),
                "dfirst": dfirst, "dthird": dthird, "dsecond": dsecond.transpose(1, 2),
            }

        return Call(run, outputs)

    # Its third way, batched_mm, copies an expert's weights for every assignment: gigabytes at these shapes.
    return {
        f"transformers {transformers.__version__}, experts {name}": lambda name=name: make(name)
        for name in ("eager", "grouped_mm")
    }


def rms_norm(x, gain):
    if hasattr(F, "rms_norm"):
        return F.rms_norm(x, gain.shape, gain, 1e-6)
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain


def language_model(task):
    s = task.sizes
    names = [name for name in task.shapes if name not in ("tokenId", "target")]
    token_id, target = task.tensor("tokenId"), task.tensor("target")
    T, L, D, heads, E = s["T"], s["length"], s["D"], s["heads"], s["E"]
    B, width = T // L, D // heads
    angle = torch.arange(L, dtype=torch.float64)[:, None] * 10000.0 ** (
        -torch.arange(width // 2, dtype=torch.float64) / (width // 2)
    )
    cos, sin = (torch.cat([f(angle)] * 2, 1).float() for f in (torch.cos, torch.sin))
    causal = torch.full((L, L), -math.inf).triu(1)

    def turn(x):
        near, far = x.chunk(2, -1)
        return x * cos + torch.cat([-far, near], -1) * sin

    def attention(qkv):
        q, k, v = qkv.view(B, L, 3, heads, width).permute(2, 0, 3, 1, 4)
        q, k = turn(q), turn(k)
        if hasattr(F, "scaled_dot_product_attention"):
            found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            found = (q @ k.transpose(-1, -2) / math.sqrt(width) + causal).softmax(-1) @ v
        return found.transpose(1, 2).reshape(T, D)

    def switch(x, gate, first, second):
        """Top-1 with capacity: tokens past it, in order of position, are left out."""
        probability = (x @ gate).softmax(1)
        weight, index = probability.max(1)
        order = torch.argsort(index, stable=True)
        wanted = torch.bincount(index, minlength=E)
        blocks = [block[: s["capacity"]] for block in order.split(wanted.tolist())]
        kept = torch.cat(blocks)
        rows = [
            torch.relu(x[block] @ w1) @ w2 for block, w1, w2 in zip(blocks, first.unbind(0), second.unbind(0))
        ]
        y = torch.zeros_like(x).index_copy(0, kept, torch.cat(rows) * weight[kept][:, None])
        balance = E * (wanted / T * probability.mean(0)).sum()
        return y, s["balance"] * balance

    def make(how):
        p = {name: task.tensor(name).requires_grad_() for name in names}
        params = list(p.values())
        groups = [
            {"params": [one for one in params if one.dim() > 1], "weight_decay": s["weightDecay"]},
            {"params": [one for one in params if one.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, **settings(s), **how)
        taken = 0

        def run():
            nonlocal taken
            at, taken = taken % s["steps"], taken + 1
            optimizer.zero_grad(set_to_none=True)
            x = p["embedding"][token_id[at]] * math.sqrt(D)
            losses = 0.0
            for block in range(s["blocks"]):
                own = lambda name: p[f"blocks.{block}.{name}"]
                x = x + attention(rms_norm(x, own("attentionNorm")) @ own("qkv")) @ own("attentionOut")
                normed = rms_norm(x, own("feedForwardNorm"))
                if (block + 1) % s["moeEvery"] == 0:
                    y, balance = switch(normed, own("router.gate"), own("experts.in"), own("experts.out"))
                    losses = losses + balance
                else:
                    y = torch.relu(normed @ own("in")) @ own("out")
                x = x + y
            logits = rms_norm(x, p["norm"]) @ p["embedding"].t()
            loss = F.cross_entropy(logits, target[at])
            (loss + losses).backward()
            torch.nn.utils.clip_grad_norm_(params, s["maximumNorm"])
            optimizer.step()
            return loss.item()

        return Call(run, lambda: {"losses": torch.tensor([run() for _ in range(s["checkedSteps"])])})

    return {f"AdamW {' '.join(how) or 'default'}": lambda how=how: make(how) for how in optimizers()}


def formulations(task):
    if NAME == "huggingface-mixtral":
        return mixtral(task)
    found = {
        "moe-forward": lambda: forward(task, "relu"),
        "moe-gradient": lambda: gradient(task, "relu"),
        "moe-swiglu": lambda: gradient(task, "swiglu"),
        "moe-train": lambda: train(task, "gelu"),
        "language-model": lambda: language_model(task),
    }
    return found.get(task.name, lambda: products(task))()


def fastest(task):
    """The formulation whose best call of a few is fastest, started afresh, and what it is."""
    choices = [(threads, name, make) for threads in THREAD_CHOICES for name, make in formulations(task).items()]
    seconds = []
    for threads, name, make in choices:
        torch.set_num_threads(threads)
        try:
            call = make()
            call.run()
            times = []
            for _ in range(5 if len(choices) > 1 else 0):
                start = time.perf_counter()
                call.run()
                times.append(time.perf_counter() - start)
            seconds.append(min(times, default=0))
        except (RuntimeError, NotImplementedError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            seconds.append(math.inf)
    best = min(range(len(choices)), key=lambda at: seconds[at])
    if seconds[best] == math.inf:
        raise Missing(f"none of {len(choices)} formulations runs in PyTorch {torch.__version__}")
    threads, name, make = choices[best]
    torch.set_num_threads(threads)
    also = f", {threads} OpenMP thread{'s' if threads > 1 else ''}" if len(THREAD_CHOICES) > 1 else ""
    return make(), f"{name}{also}".removeprefix(", ")


def main():
    blas = "MKL" if OWN_BLAS else "another BLAS than MKL"
    say({"about": f"PyTorch {torch.__version__} with {blas}"})
    call, seconds_of_call = None, 0.0

    def timed(count):
        nonlocal seconds_of_call
        start = time.perf_counter()
        for _ in range(count):
            call.run()
        seconds_of_call = (time.perf_counter() - start) / count
        return seconds_of_call

    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {}
            if request["ask"] == "prepare":
                call, note = fastest(Task(request["folder"]))
                answer = {"note": note} if note else {}
            elif request["ask"] == "check":
                for name, value in call.outputs().items():
                    value.detach().contiguous().numpy().astype("<f8").tofile(f"{request['outputs']}{name}.f64")
                answer = {"secondsOfCall": timed(1)}
            elif request["ask"] == "time":
                # The first estimate is of a cold call: go on until time is nearly up.
                count, spent = 0, 0.0
                while spent < 0.8 * request["seconds"]:
                    more = max(1, round((request["seconds"] - spent) / seconds_of_call))
                    spent += more * timed(more)
                    count += more
                answer = {"secondsOfCall": spent / count, "count": count}
            elif request["ask"] == "usage":
                answer = {"cpuSeconds": time.process_time()}
            elif request["ask"] == "free":
                call = None
            say(answer)
        except Missing as error:
            say({"cannot": str(error)})
        except Exception as error:
            say({"cannot": f"{type(error).__name__}: {error}".split("\n")[0]})


main()
