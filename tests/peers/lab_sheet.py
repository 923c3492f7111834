"""The quantization lab as people do it today: TensorFlow's converter, LiteRT and a script, timed stage by stage.

    python lab_sheet.py --model pretrainedResnet.h5 --train cifar10-train.tar.gz --test cifar10-test.tar.gz --out lab

Loads a Keras network, converts it to float32, float16, dynamic-range int8 and full int8, evaluates each on all test images
and writes `<variant>.tflite`, `<variant>-metrics.md`, `report.md` and `timings.json` into the folder `--out`.

Images come as a folder or `.tar.gz` of `<split>/<class>/<name>.jpg`, classes in alphabetical order, decoded by Pillow; or
as `.npz` with `x` (uint8 NHWC) and `y`, decoded before. `--decode-only FILE.npz` makes such a file of the test images.
"""

import time

STARTED = time.perf_counter()

import argparse
import io
import json
import os
import platform
import resource
import sys
import tarfile
import zipfile
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np

VARIANTS = ["float32", "float16", "dynamic", "int8"]
SECONDS = {}


@contextmanager
def timed(stage):
    """Notes how long a stage took."""
    started = time.perf_counter()
    yield
    SECONDS[stage] = round(time.perf_counter() - started, 4)


def open_images(path):
    """The image files of a folder or archive, sorted by class and name: (class, function that gives the bytes) each."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (".jpg", ".jpeg", ".png"))
        return [(file.parent.name, file.read_bytes) for file in files]
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile() and member.name.endswith((".jpg", ".jpeg", ".png"))]
        contents = {member.name: archive.extractfile(member).read() for member in members}
    return [(Path(name).parent.name, lambda name=name: contents[name]) for name in sorted(contents)]


def load_images(path, pick=None):
    """Pixels (uint8 NHWC), labels and class names; of all images, or those that `pick(count)` names by index."""
    if path.suffix == ".npz":
        stored = np.load(path)
        chosen = slice(None) if pick is None else pick(len(stored["y"]))
        classes = [str(label) for label in range(int(stored["y"].max()) + 1)]
        return stored["x"][chosen], stored["y"][chosen], classes
    from PIL import Image

    images = open_images(path)
    classes = sorted({name for name, _ in images})
    chosen = range(len(images)) if pick is None else pick(len(images))
    pixels = [np.asarray(Image.open(io.BytesIO(images[i][1]())).convert("RGB")) for i in chosen]
    return np.stack(pixels), np.array([classes.index(images[i][0]) for i in chosen]), classes


def convert(tf, network, variant, samples):
    """The network as a .tflite file in one of the four schemes."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant == "int8":
        converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with redirect_stdout(sys.stderr):  # the exporter prints the model's endpoints
        return converter.convert()


def decisions(interpreter_class, file, images, threads, batch):
    """The winning class of every image, computed by LiteRT."""
    interpreter = interpreter_class(model_path=str(file), num_threads=threads)
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(source["index"], [batch, *images.shape[1:]])
    interpreter.allocate_tensors()
    if source["dtype"] == np.int8:
        scale, zero_point = source["quantization"]
        pixels = np.clip(np.round(np.arange(256) / scale) + zero_point, -128, 127).astype(np.int8)[images]
    else:
        pixels = images.astype(np.float32)
    found = np.empty(len(images), np.int64)
    for start in range(0, len(images), batch):
        part = pixels[start : start + batch]
        used = len(part)
        if used < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - used, axis=0)])
        interpreter.set_tensor(source["index"], part)
        interpreter.invoke()
        found[start : start + used] = interpreter.get_tensor(sink["index"])[:used].argmax(axis=1)
    return found


def metrics(labels, found, classes):
    """Accuracy, and per class precision, sensitivity, specificity, F1 and G-mean; rows of the matrix are true classes."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, found), 1)
    right = np.diag(confusion)
    wrongly = confusion.sum(axis=0) - right
    missed = confusion.sum(axis=1) - right
    others = confusion.sum() - right - wrongly - missed
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(right / (right + wrongly))
        sensitivity = np.nan_to_num(right / (right + missed))
        specificity = np.nan_to_num(others / (others + wrongly))
        f1 = np.nan_to_num(2 * precision * sensitivity / (precision + sensitivity))
    per_class = np.stack([precision, sensitivity, specificity, f1, np.sqrt(sensitivity * specificity)], axis=1)
    return {"right": int(right.sum()), "accuracy": right.sum() / len(labels), "class": per_class, "confusion": confusion}


def table(header, rows):
    """A markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def variant_page(variant, result, classes):
    """The metrics and the confusion matrix of one variant as markdown."""
    rows = [[name, *(f"{value:.4f}" for value in values)] for name, values in zip(classes, result["class"])]
    rows.append(["**mean**", *(f"{value:.4f}" for value in result["class"].mean(axis=0))])
    quality = table(["class", "precision", "sensitivity", "specificity", "F1", "G-mean"], rows)
    confusion = table(["true \\ found", *classes], [[name, *row] for name, row in zip(classes, result["confusion"])])
    return f"# {variant}\n\nAccuracy {result['accuracy']:.2%}\n\n{quality}\n{confusion}"


def deflated(file):
    """Bytes of the file in a zip archive, level 9."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(file, file.name)
    return archive.infolist()[0].compress_size


def machine():
    """Where this ran, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {"processor": name, "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, help="Keras .h5 file; input is raw 0..255")
    arguments.add_argument("--train", type=Path, help="images to calibrate with")
    arguments.add_argument("--test", type=Path, required=True, help="images to evaluate on")
    arguments.add_argument("--out", type=Path, help="folder for models, reports and timings")
    arguments.add_argument("--calibration", type=int, default=500, help="number of calibration images (default 500)")
    arguments.add_argument("--seed", type=int, default=0, help="which calibration images (default 0)")
    arguments.add_argument("--threads", type=int, default=2, help="threads of LiteRT (default 2)")
    arguments.add_argument("--batch", type=int, default=1, help="images per invocation (default 1)")
    arguments.add_argument("--decode-only", type=Path, metavar="NPZ", help="store the decoded test images, do nothing else")
    args = arguments.parse_args()

    if args.decode_only:
        images, labels, _ = load_images(args.test)
        np.savez(args.decode_only, x=images, y=labels)
        return
    if not (args.model and args.train and args.out):
        arguments.error("--model, --train and --out are needed")
    args.out.mkdir(parents=True, exist_ok=True)
    host = machine()

    with timed("import"):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

    with timed("decode"):
        images, labels, classes = load_images(args.test)
        pick = lambda count: np.random.default_rng(args.seed).choice(count, args.calibration, replace=False)
        samples = load_images(args.train, pick)[0].astype(np.float32)
    with timed("load"):
        network = tf.keras.models.load_model(args.model, compile=False)

    files = {variant: args.out / f"{variant}.tflite" for variant in VARIANTS}
    for variant, file in files.items():
        with timed(f"convert {variant}"):
            file.write_bytes(convert(tf, network, variant, samples))
    results = {}
    for variant, file in files.items():
        with timed(f"evaluate {variant}"):
            found = decisions(Interpreter, file, images, args.threads, args.batch)
            results[variant] = metrics(labels, found, len(classes))

    with timed("report"):
        summary = []
        for variant, result in results.items():
            (args.out / f"{variant}-metrics.md").write_text(variant_page(variant, result, classes))
            result |= {"bytes": files[variant].stat().st_size, "deflated": deflated(files[variant])}
            summary.append([variant, f"{result['bytes']:,}", f"{result['deflated']:,}", f"{result['accuracy']:.2%}"])
        page = table(["variant", "bytes", "deflated", "accuracy"], summary)
        (args.out / "report.md").write_text(f"# Quantization lab\n\n{page}")

    # What one process needs to turn the .h5 into four .tflite files.
    making = ["import", "load", *(f"convert {variant}" for variant in VARIANTS)]
    SECONDS["make all four"] = round(sum(SECONDS[stage] for stage in making), 4)
    SECONDS["total"] = round(time.perf_counter() - STARTED, 4)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    record = {
        "seconds": SECONDS,
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_mb": usage.ru_maxrss // 1024,
        "machine": host,
        "tensorflow": tf.__version__,
        "images": len(labels),
        "calibration": args.calibration,
        "threads": args.threads,
        "batch": args.batch,
        "variants": {
            variant: {key: result[key] for key in ["bytes", "deflated", "right", "accuracy"]}
            for variant, result in results.items()
        },
    }
    (args.out / "timings.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
