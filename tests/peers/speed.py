"""This runtime, LiteRT and ONNX Runtime on the same networks: milliseconds of one image on one thread.

    python speed.py --pipeline ../../target/release/pipeline [--rounds 5] [--only NAME ...] [--processor-time] [--json FILE]

Makes the networks of `networks.py` (or takes those of `--onnx FILE ...`), converts each to float32, dynamic range and int8 `.tflite` files
(and the int8 one to ONNX), and runs them in turn: every round takes each runtime once, so that what else the machine does meets all alike. A figure is the least of the
rounds' medians. `--processor-time` counts what the thread (for ours, the process) computed instead of what the clock on the wall says: for machines that others use,
and good to a tenth at best. LiteRT runs with XNNPACK, as it does unless told otherwise. Needs numpy, onnx, onnxruntime and ai-edge-litert.
"""

import argparse
import json
import platform
import resource
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


def median(call, clock, least_seconds=0.3, least_runs=5):
    """Milliseconds of a call."""
    call(), call()
    times, started = [], time.perf_counter()
    while len(times) < least_runs or time.perf_counter() - started < least_seconds:
        before = clock()
        call()
        times.append(1e3 * (clock() - before))
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


def ours(pipeline, path, runs, processor_time):
    def bench(runs):
        return run(pipeline, "bench", path, "--runs", runs, "--warmup", 3, "--json")

    if not processor_time:
        return json.loads(bench(runs))["steady"]["median"]

    def spent(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        bench(runs)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Loading and warming up are in both.
    return 1e3 * (spent(runs + 5) - spent(5)) / runs


def files(pipeline, source, folder, forms):
    """The network in all forms: what each runtime reads."""
    name, images = source.stem, folder / f"{source.stem}.npy"
    shape = [d.dim_value or 1 for d in onnx.load(source, load_external_data=False).graph.input[0].type.tensor_type.shape.dim]
    shape = [*shape[2:], shape[1]] if len(shape) == 4 else shape[1:]
    np.save(images, np.random.default_rng(0).uniform(-1, 1, (4, *shape)).astype(np.float32))
    made = {}
    for form in forms:
        options = FORMS[form] + (["--calibrate", images] if form == "int8" else [])
        tflite, other = folder / f"{name}-{form}.tflite", {"float32": source}.get(form)
        if form == "int8":
            other = folder / f"{name}-int8.onnx"
        try:
            for path in (tflite, other):
                if path and not path.exists():
                    run(pipeline, "convert", source, path, *options)
            made[form] = (tflite, other)
        except RuntimeError as error:
            print(f"  {name}: no {form} file: {error}", flush=True)
    return made


def measure(pipeline, made, rounds, processor_time):
    calls, figures = {}, {}
    clock = time.thread_time if processor_time else time.perf_counter
    for form, (tflite, other) in made.items():
        peers = [("LiteRT", litert, tflite)] + ([("ONNX Runtime", onnxruntime, other)] if other else [])
        for who, load, path in peers:
            try:
                calls[form, who] = load(path)
            except Exception as error:
                print(f"  {path.name}: {who} refuses it: {str(error).splitlines()[0]}", flush=True)
    for _ in range(rounds):
        for form, (tflite, _) in made.items():
            times = {who: median(call, clock) for (of, who), call in calls.items() if of == form}
            runs = max(5, min(2000, int(300 / max(0.02, min(times.values(), default=10)))))
            times["ours"] = ours(pipeline, tflite, runs, processor_time)
            for who, ms in times.items():
                figures.setdefault((form, who), []).append(ms)
    return {f"{form} {who}": min(times) for (form, who), times in figures.items()}


def row(name, figures, forms):
    cells = [f"`{name}`"]
    for form in forms:
        peers = [figures[f"{form} {who}"] for who in ("LiteRT", "ONNX Runtime") if f"{form} {who}" in figures]
        own = figures.get(f"{form} ours")
        if own is None:
            cells.append("")
            continue
        parts = " / ".join(f"{ms:.3g}" for ms in [own, *peers])
        cells.append(f"{parts} ({own / min(peers):.2f})" if peers else parts)
    return f"| {' | '.join(cells)} |"


def sources(folder, only):
    """The networks of `networks.py`, one file after the other."""
    for make in networks.NETWORKS:
        if not only or make.__name__ in only:
            source = folder / f"{make.__name__}.onnx"
            if not source.exists():
                onnx.save(make(), source)
            yield source


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def summary(results, forms):
    """Ratios of ours and the best other's over all networks."""
    lines = []
    for form in forms:
        ratios = []
        for figures in results.values():
            peers = [ms for key, ms in figures.items() if key.startswith(f"{form} ") and key != f"{form} ours"]
            if peers and f"{form} ours" in figures:
                ratios.append(figures[f"{form} ours"] / min(peers))
        if ratios:
            lines.append(f"{form}: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    return "\n" + "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--onnx", nargs="*", type=Path, default=[], help="networks of yours instead")
    parser.add_argument("--forms", nargs="*", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--folder", type=Path, help="keep the files here; what is there is not made again")
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    pipeline, results = args.pipeline.resolve(), {}
    print(f"{processor()}, one thread; ours / LiteRT / ONNX Runtime, ms (ours / best)\n")
    print(f"| network | {' | '.join(args.forms)} |\n|---|{'---|' * len(args.forms)}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for source in args.onnx or sources(folder, args.only):
            made = files(pipeline, source, folder, args.forms)
            results[source.stem] = measure(pipeline, made, args.rounds, args.processor_time)
            print(row(source.stem, results[source.stem], args.forms), flush=True)
    print(summary(results, args.forms))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
