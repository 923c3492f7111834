"""This runtime, LiteRT and ONNX Runtime on the same networks: milliseconds of one image on one thread.

    python speed.py --pipeline ../../target/release/pipeline [--rounds 5] [--only NAME ...] [--json FILE]

Makes the networks of `networks.py`, converts each to float32, dynamic range and int8 `.tflite` files (and the int8 one to ONNX), and runs
them in turn: every round takes each runtime once, so that what else the machine does meets all alike. A figure is the least of the
rounds' medians. LiteRT runs with XNNPACK, as it does unless told otherwise. Needs numpy, onnx, onnxruntime and ai-edge-litert.
"""

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

import networks

FORMS = {"float32": [], "dynamic": ["--quantize", "dynamic-int8"], "int8": ["--quantize", "int8"]}


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def median(call, least_seconds=0.3, least_runs=5):
    """Milliseconds of a call."""
    call(), call()
    times, started = [], time.perf_counter()
    while len(times) < least_runs or time.perf_counter() - started < least_seconds:
        before = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - before))
    return statistics.median(times)


def litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], sample(details["shape"], details["dtype"]))
    return interpreter.invoke


def onnxruntime(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}
    inputs = session.get_inputs()
    shape = lambda given: [1 if not isinstance(d, int) else d for d in given.shape]
    feed = {given.name: sample(shape(given), types[given.type]) for given in inputs}
    return lambda: session.run(None, feed)


def sample(shape, dtype):
    random = np.random.default_rng(1).uniform(-1, 1, shape)
    return (random if np.dtype(dtype).kind == "f" else random * 100).astype(dtype)


def ours(pipeline, path, runs):
    figures = json.loads(run(pipeline, "bench", path, "--runs", runs, "--warmup", 3, "--json"))
    return figures["timings"]["steady"]["median"]


def files(pipeline, make, folder):
    """The network in all forms: what each runtime reads."""
    name = make.__name__
    model = make()
    source, images = folder / f"{name}.onnx", folder / f"{name}.npy"
    onnx.save(model, source)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    np.save(images, np.random.default_rng(0).uniform(-1, 1, (4, *shape[2:], shape[1])).astype(np.float32))
    made = {}
    for form, options in FORMS.items():
        calibrate = ["--calibrate", images] if form == "int8" else []
        tflite = folder / f"{name}-{form}.tflite"
        run(pipeline, "convert", source, tflite, *options, *calibrate)
        other = source if form == "float32" else None
        if form == "int8":
            other = folder / f"{name}-int8.onnx"
            run(pipeline, "convert", source, other, *options, *calibrate)
        made[form] = (tflite, other)
    return made


def measure(pipeline, made, rounds):
    calls, figures = {}, {}
    for form, (tflite, other) in made.items():
        peers = [("LiteRT", litert, tflite)] + ([("ONNX Runtime", onnxruntime, other)] if other else [])
        for who, load, path in peers:
            try:
                calls[form, who] = load(path)
            except Exception as error:
                print(f"  {path.name}: {who} refuses it: {str(error).splitlines()[0]}", flush=True)
    for _ in range(rounds):
        for form, (tflite, _) in made.items():
            times = {who: median(call) for (of, who), call in calls.items() if of == form}
            runs = max(5, min(2000, int(300 / max(0.02, min(times.values(), default=10)))))
            times["ours"] = ours(pipeline, tflite, runs)
            for who, ms in times.items():
                figures.setdefault((form, who), []).append(ms)
    return {f"{form} {who}": min(times) for (form, who), times in figures.items()}


def row(name, figures):
    cells = [f"`{name}`"]
    for form in FORMS:
        peers = [figures[f"{form} {who}"] for who in ("LiteRT", "ONNX Runtime") if f"{form} {who}" in figures]
        own = figures[f"{form} ours"]
        parts = " / ".join(f"{ms:.3g}" for ms in [own, *peers])
        cells.append(f"{parts} ({own / min(peers):.2f})" if peers else parts)
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    pipeline, results = args.pipeline.resolve(), {}
    print(f"{platform.processor() or platform.machine()}, one thread; ours / LiteRT / ONNX Runtime, ms (ours / best)\n")
    print("| network | float32 | dynamic range | int8 |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for make in networks.NETWORKS:
            if args.only and make.__name__ not in args.only:
                continue
            results[make.__name__] = measure(pipeline, files(pipeline, make, folder), args.rounds)
            print(row(make.__name__, results[make.__name__]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
