"""Writes small state dicts in every form that torch.save has: python generate.py (PyTorch 2.15, see manifest.json)."""

import hashlib
import json
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent


class Net(nn.Module):
    """One linear layer and a counter, with fixed values."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.register_buffer("steps", torch.tensor(42))
        with torch.no_grad():
            self.fc.weight.copy_(torch.arange(6).reshape(3, 2) / 2)
            self.fc.bias.copy_(torch.tensor([-1.0, 0.25, 7.0]))

    def forward(self, x):
        return self.fc(x)


def main():
    net = Net()
    state = net.state_dict()
    torch.save(state, HERE / "zip.pt")
    torch.save(state, HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(state, HERE / "protocol5.pt", pickle_protocol=5)
    torch.save({"epoch": 3, "state_dict": nn.DataParallel(net).state_dict(), "lr": 0.1}, HERE / "checkpoint.pt")
    torch.save(net, HERE / "module.pt")
    more = OrderedDict(state)
    for dtype in [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.int16, torch.int8, torch.uint8]:
        more[str(dtype).removeprefix("torch.")] = torch.tensor([1, 2, 3], dtype=dtype)
    more["transposed"] = state["fc.weight"].t()
    more["expanded"] = state["fc.bias"].expand(2, 3)
    torch.save(more, HERE / "types.pt")
    torch.jit.script(net).save(str(HERE / "script.pt"))
    from safetensors.torch import save_file

    save_file(dict(state), HERE / "state.safetensors")
    files = sorted(p for p in HERE.iterdir() if p.suffix in {".pt", ".safetensors"})
    manifest = {
        "torch": torch.__version__,
        "files": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


main()
