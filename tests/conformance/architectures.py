"""Compares the architectures that ship with the frameworks they come from, on random weights, and with real files.

    python architectures.py --pipeline ../../target/release/pipeline                          # torchvision and timm
    python architectures.py --pipeline ... --shared ../../../shared --litert PYTHON           # and FBNet-A, EfficientNet-Lite0

Each network gets random weights with lively batch-norm statistics, is saved by `torch.save`, and runs in PyTorch and in our runtime
on the same two images. Outputs agree within `TOLERANCE` of the largest output. With `--shared`, FBNet-A's state dict gives the
outputs that PyTorch gave, in our runtime and, as a .tflite file, in LiteRT (run by the Python named with `--litert`); and
EfficientNet-Lite0 keeps its accuracy on 1,000 images. What is missing is said and never counted as passed. Exit code 1 if anything failed.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "recipes" / "architectures"
TOLERANCE = 1e-4

TORCHVISION = {
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "mobilenet_v3_small": "mobilenet_v3_small",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "squeezenet1_0": "squeezenet1_0",
    "squeezenet1_1": "squeezenet1_1",
    "shufflenet_v2": "shufflenet_v2_x1_0",
    "mnasnet1_0": "mnasnet1_0",
}
TIMM = {"vit_tiny": "vit_tiny_patch16_224"}


def run(*command):
    """Standard output of a program that must succeed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def distance(ours, theirs):
    """The largest difference, in parts of the largest output."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def frameworks():
    """Every network with its name and a function that makes it; nothing where a framework is missing."""
    try:
        import torchvision

        for name, theirs in TORCHVISION.items():
            yield name, lambda theirs=theirs: torchvision.models.get_model(theirs)
    except ImportError:
        print("SKIPPED: torchvision is not installed")
    try:
        import timm

        for name, theirs in TIMM.items():
            yield name, lambda theirs=theirs: timm.create_model(theirs)
    except ImportError:
        print("SKIPPED: timm is not installed")


def lively(model, torch):
    """Statistics and scales that a mistake in a batch norm would show through."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)


def compare(pipeline, name, make, folder):
    import torch

    torch.manual_seed(7)
    model = make().eval()
    lively(model, torch)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        theirs = model(x).numpy()
    weights, given, made = folder / f"{name}.pth", folder / "x.npy", folder / "y.npy"
    torch.save(model.state_dict(), weights)
    np.save(given, np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)))
    architecture = SHIPPED / f"{name}.yaml"
    run(pipeline, "infer", architecture, "--weights", weights, "--input", given, "--output", made)
    here = distance(np.load(made), theirs)
    # Written back, the weights give the same network in PyTorch.
    back = folder / f"{name}.safetensors"
    run(pipeline, "convert", architecture, back, "--weights", weights)
    from safetensors.torch import load_file

    again = make().eval()
    # torchvision's MNASNet asks for the version that safetensors do not carry.
    loaded = OrderedDict(load_file(back))
    loaded._metadata = again.state_dict()._metadata
    again.load_state_dict(loaded, strict=False)
    with torch.no_grad():
        there = distance(again(x).numpy(), theirs)
    return max(here, there), f"{here:.1e}, and {there:.1e} with the weights written back"


def fbnet(pipeline, shared, litert, folder):
    files = shared / "models" / "fbnet_a"
    data = np.load(files / "fbnet_a_io.npz")
    given, made, tflite = folder / "x.npy", folder / "y.npy", folder / "fbnet_a.tflite"
    np.save(given, np.ascontiguousarray(data["x"].transpose(0, 2, 3, 1)))
    network = [SHIPPED / "fbnet_a.yaml", "--weights", files / "fbnet_a.pth"]
    run(pipeline, "infer", *network, "--input", given, "--output", made)
    errors = {"ours": float(np.abs(np.load(made) - data["y"]).max())}
    if litert:
        run(pipeline, "convert", network[0], tflite, *network[1:])
        run(litert, Path(__file__).with_name("litert.py"), tflite, "--input", given, "--output", made)
        errors["LiteRT"] = float(np.abs(np.load(made) - data["y"]).max())
    else:
        print("SKIPPED: fbnet_a in LiteRT; name a Python that has it with --litert")
    return max(errors.values()), ", ".join(f"{who} {error:.1e}" for who, error in errors.items())


def efficientnet(pipeline, shared, folder):
    weights = shared / "models" / "efficientnet-lite0" / "efficientnet-lite0.pth"
    images = shared / "data" / "imagenet-sample.tar"
    recipe = ROOT / "recipes" / "efficientnet-lite0.yaml"
    out = folder / "out"
    sources = ["--source", f"weights={weights}", "--source", f"images={images}"]
    run(pipeline, "--cache", folder / "cache", "run", recipe, *sources, "--out", out)
    with (out / "metrics.csv").open(newline="") as table:
        correct = {row["variant"]: round(1000 * float(row["accuracy"])) for row in csv.DictReader(table) if row["accuracy"]}
    transposes = json.loads(run(pipeline, "inspect", out / "float32.tflite", "--json"))["transposes"]
    good = abs(correct["float32"] - 875) <= 2 and correct["int8"] >= 871 and transposes == 0
    return good, f"{correct} of 1,000 right, {transposes} transposes"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", required=True, type=Path)
    parser.add_argument("--shared", type=Path, help="folder with real models and data")
    parser.add_argument("--litert", type=Path, help="a Python with LiteRT")
    parser.add_argument("--only", default="", help="networks with this in their name")
    arguments = parser.parse_args()
    pipeline = arguments.pipeline.resolve()
    failed = 0

    def check(name, work):
        nonlocal failed
        if arguments.only not in name:
            return
        with tempfile.TemporaryDirectory() as folder:
            good, words = work(Path(folder))
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {words}", flush=True)

    def within(error, words):
        return error <= TOLERANCE, words

    for name, make in frameworks():
        check(name, lambda folder, name=name, make=make: within(*compare(pipeline, name, make, folder)))
    if arguments.shared:
        check("fbnet_a", lambda folder: within(*fbnet(pipeline, arguments.shared, arguments.litert, folder)))
        check("efficientnet-lite0", lambda folder: efficientnet(pipeline, arguments.shared, folder))
    else:
        print("SKIPPED: fbnet_a and efficientnet-lite0; they need --shared")
    sys.exit(1 if failed else 0)


main()
