"""Writes what PyTorch makes of 20 steps of training: the losses, the first gradients, and where the weights are at the end.

    python generate.py        # needs torch

Four small networks (a residual with batch norms, depthwise layers, a concatenation with pooling, attention) learn with Adam, AdamW and SGD in double precision.
Their weights, samples and labels come from the recurrence in `numbers`, which the Rust test computes in the same bits, so that nothing but results is
stored: `networks.json` by network and optimizer. `optimizers.json` holds three steps of each optimizer on two numbers. `manifest.json` says which version wrote them.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
BATCH, STEPS = 12, 20
# As single precision has them.
EPSILON, SLOPE = 0.0010000000474974513, 0.10000000149011612
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def numbers(count, low, high):
    """Numbers that no pattern is in: exact in IEEE double precision."""
    state, out = 1 / math.pi, []
    for _ in range(count):
        state = math.fmod(state * 997.0 + 0.271828, 1.0)
        out.append(low + (high - low) * state)
    return out


class Weights:
    """Parameters in the layout of the program: convolutions `OHWI`, depthwise ones `1HWC`, matrices `OI`."""

    def __init__(self):
        self.all = {}

    def draw(self, name, shape, low, high):
        # Each begins elsewhere in the sequence, and is stored in single precision.
        skip = 7 * len(self.all)
        values = torch.tensor(numbers(math.prod(shape) + skip, low, high)[skip:])
        self.all[name] = values.float().double().reshape(shape).requires_grad_()
        return self.all[name]

    def conv(self, name, out, k, into):
        return self.draw(f"{name}/w", (out, k, k, into), -0.4, 0.4)

    def norm(self, name, channels):
        self.draw(f"{name}/gamma", (channels,), 0.5, 1.5)
        self.draw(f"{name}/beta", (channels,), -0.5, 0.5)

    def dense(self, name, out, into):
        self.draw(f"{name}/w", (out, into), -0.5, 0.5)
        self.draw(f"{name}/b", (out,), -0.5, 0.5)


def conv(w, name, x, stride=1, pad=1):
    return F.conv2d(x, w.all[f"{name}/w"].permute(0, 3, 1, 2), w.all.get(f"{name}/b"), stride, pad)


def depthwise(w, name, x, stride=1):
    weight = w.all[f"{name}/w"]
    return F.conv2d(x, weight.permute(3, 0, 1, 2), None, stride, 1, groups=weight.shape[3])


def norm(w, name, x):
    return F.batch_norm(x, None, None, w.all[f"{name}/gamma"], w.all[f"{name}/beta"], training=True, eps=EPSILON)


def dense(w, name, x):
    return F.linear(x, w.all[f"{name}/w"], w.all[f"{name}/b"])


def residual(w):
    w.conv("stem", 8, 3, 3), w.norm("stem", 8)
    w.conv("a", 8, 3, 8), w.norm("a", 8)
    w.conv("b", 12, 3, 8), w.norm("b", 12)
    w.conv("s", 12, 1, 8)
    w.dense("fc", 5, 12)

    def forward(x):
        x = F.relu(norm(w, "stem", conv(w, "stem", x)))
        x = F.relu(norm(w, "a", conv(w, "a", x)) + x)
        y = norm(w, "b", conv(w, "b", x, stride=2))
        x = F.relu(y + conv(w, "s", x, stride=2, pad=0))
        return dense(w, "fc", x.mean((2, 3)))

    return (8, 8, 3), forward


def mobile(w):
    w.conv("stem", 8, 3, 3), w.norm("stem", 8)
    w.draw("d/w", (1, 3, 3, 8), -0.5, 0.5), w.norm("d", 8)
    w.conv("p", 16, 1, 8), w.norm("p", 16)
    w.draw("e/w", (1, 3, 3, 16), -0.5, 0.5), w.norm("e", 16)
    w.dense("fc", 5, 16)

    def forward(x):
        x = F.relu6(norm(w, "stem", conv(w, "stem", x)))
        x = F.relu6(norm(w, "d", depthwise(w, "d", x)))
        x = F.hardswish(norm(w, "p", conv(w, "p", x, pad=0)))
        x = F.silu(norm(w, "e", depthwise(w, "e", x, stride=2)))
        return dense(w, "fc", x.mean((2, 3)))

    return (8, 8, 3), forward


def branches(w):
    w.conv("a", 6, 3, 3), w.draw("a/b", (6,), -0.5, 0.5)
    w.conv("b", 4, 1, 3), w.draw("b/b", (4,), -0.5, 0.5)
    w.conv("c", 8, 3, 10), w.draw("c/b", (8,), -0.5, 0.5)
    w.dense("fc", 5, 8)

    def forward(x):
        x = torch.cat([F.relu(conv(w, "a", x)), torch.tanh(conv(w, "b", x, pad=0))], 1)
        x = F.max_pool2d(x, 2)
        x = F.avg_pool2d(F.leaky_relu(conv(w, "c", x), SLOPE), 2)
        return dense(w, "fc", x.mean((2, 3)))

    return (8, 8, 3), forward


def attention(w):
    w.dense("in", 8, 6)
    w.draw("ln/scale", (8,), 0.5, 1.5), w.draw("ln/bias", (8,), -0.5, 0.5)
    for name in "qkv":
        w.dense(name, 8, 8)
    w.dense("up", 16, 8), w.dense("down", 8, 16)
    w.dense("fc", 5, 8)

    def forward(x):
        x = dense(w, "in", x)
        n = F.layer_norm(x, (8,), w.all["ln/scale"], w.all["ln/bias"], EPSILON)
        q, k, v = (dense(w, name, n) for name in "qkv")
        x = x + torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        x = x + dense(w, "down", F.gelu(dense(w, "up", x)))
        return dense(w, "fc", x.mean(1))

    return (7, 6), forward


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, 1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, 5e-2, momentum=0.9, nesterov=True, weight_decay=1e-3),
}


def run(network, optimizer):
    w = Weights()
    shape, forward = network(w)
    count = BATCH * math.prod(shape)
    x = torch.tensor(numbers(count, -1.0, 1.0)).float().double().reshape(BATCH, *shape)
    if len(shape) == 3:
        x = x.permute(0, 3, 1, 2)
    y = torch.arange(BATCH) % 5
    stepper = OPTIMIZERS[optimizer](list(w.all.values()))
    losses, gradients = [], {}
    for step in range(STEPS):
        stepper.zero_grad()
        loss = F.cross_entropy(forward(x), y, label_smoothing=0.1)
        loss.backward()
        if step == 0:
            # Norm, and the product with numbers that see every place.
            for name, value in w.all.items():
                g = value.grad.flatten()
                seen = torch.tensor(numbers(g.numel(), -1.0, 1.0))
                gradients[name] = [g.norm().item(), (g @ seen).item()]
        stepper.step()
        losses.append(loss.item())
    ends = {name: value.norm().item() for name, value in w.all.items()}
    return {"losses": losses, "gradients": gradients, "norms": ends}


def walk(make):
    """Three steps from (1, −2) with the loss w² + w/2."""
    w = torch.tensor([1.0, -2.0]).requires_grad_()
    stepper = make([w])
    for _ in range(3):
        stepper.zero_grad()
        (w * w + w / 2).sum().backward()
        stepper.step()
    return w.tolist()


def main():
    networks = {f.__name__: {o: run(f, o) for o in OPTIMIZERS} for f in (residual, mobile, branches, attention)}
    (HERE / "networks.json").write_text(json.dumps(networks, indent=1) + "\n")
    optimizers = {
        "sgd": walk(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        "nesterov": walk(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
        "adam": walk(lambda p: torch.optim.Adam(p, 0.1)),
        "adam-decay": walk(lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.1)),
        "adamw-decay": walk(lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.1)),
    }
    (HERE / "optimizers.json").write_text(json.dumps(optimizers, indent=1) + "\n")
    manifest = {"versions": {"torch": torch.__version__.split("+")[0]}, "precision": "float64", "steps": STEPS}
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


main()
