"""The MoE block of gpu:check in PyTorch on a CUDA device: f32 without TF32, in whichever formulation is fastest.

Started as `pytorch.py`; speaks the protocol of bench/peers/contender.ts: requests are JSON lines, answers follow "@ ".
"""
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print goes to standard error


def say(answer):
    answers.write("@ " + json.dumps(answer) + "\n")
    answers.flush()


try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    say({"cannot": f"{sys.executable} has no PyTorch: {error}"})
    sys.exit(0)
if not torch.cuda.is_available():
    say({"cannot": f"PyTorch {torch.__version__} of {sys.executable} finds no CUDA device"})
    sys.exit(0)

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
device = torch.device("cuda")


def grouped(x, order, counts, first, second, K):
    ends = counts.cumsum(0).to(torch.int32)
    return F.grouped_mm(F.relu(F.grouped_mm(x[order // K], first, offs=ends)), second, offs=ends)


def split(x, order, counts, first, second, K):
    blocks = x[order // K].split(counts.tolist())
    return torch.cat([F.relu(block @ w1) @ w2 for block, w1, w2 in zip(blocks, first, second)])


formulations = {"split": split}
if hasattr(F, "grouped_mm"):
    formulations["grouped_mm"] = grouped


def tensor(values):
    return torch.tensor(values, dtype=torch.float32, device=device)


def block(request):
    """Tokens, weights and loads as gpu:check makes them: a list of values again and again."""
    T, D, Fw, E, K = (request[name] for name in ("T", "D", "F", "E", "K"))
    values = tensor(request["values"])

    def repeated(shape, deviation=1.0):
        count = 1
        for side in shape:
            count *= side
        times = -(-count // len(values))
        return (values.repeat(times)[:count] * deviation).reshape(shape).requires_grad_()

    x = repeated((T, D))
    weight = torch.full((T, K), 1 / K, device=device, requires_grad=True)
    first, second = repeated((E, D, Fw), D**-0.5), repeated((E, Fw, D), Fw**-0.5)
    expert = torch.tensor(request["expert"], device=device)
    order = torch.argsort(expert, stable=True)
    counts = torch.bincount(expert, minlength=E)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=device)

    def loss_of(how):
        rows = how(x, order, counts, first, second, K)
        return (rows[place].view(T, K, D) * weight[:, :, None]).sum(1).square().mean()

    def run(how):
        return torch.autograd.grad(loss_of(how), [x, weight, first, second])

    return loss_of, run


def answer(request):
    loss_of, run = block(request)
    found, reasons = {}, []
    for name, how in formulations.items():
        try:
            loss = float(loss_of(how))
            for _ in range(3):
                run(how)
            torch.cuda.synchronize()
            seconds = []
            for _ in range(5):
                start = time.perf_counter()
                run(how)
                torch.cuda.synchronize()
                seconds.append(time.perf_counter() - start)
            found[name] = (min(seconds), loss)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            reasons.append(f"{name}: {error}")
    if not found:
        return {"cannot": "; ".join(reasons)}
    name = min(found, key=lambda each: found[each][0])
    return {"seconds": found[name][0], "loss": found[name][1], "formulation": name}


say({"about": f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}, f32 without TF32"})
for line in sys.stdin:
    try:
        say(answer(json.loads(line)))
    except Exception as error:  # said to whoever asked
        say({"cannot": f"{type(error).__name__}: {error}"})
