"""Disturbs runs of the pipeline and looks whether their results stay true. See README.md."""

import argparse
import concurrent.futures
import gzip
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "recipes"

BASE = """schema: pipeline/v1
name: chaos
sources:
  network: { file: models/digits.h5 }
  digits: { file: data/digits.npz }
steps:
  native: { import: { from: network } }
  train: { dataset: { source: digits, split: train } }
  test: { dataset: { source: digits, split: test } }
  ranges: { calibrate: { model: native, data: train, count: 50 } }
  int8: { quantize: { model: native, ranges: ranges, scheme: int8 } }
  file: { export: { model: int8 } }
  quality: { evaluate: { model: int8, data: test } }
  report: { report: { compare: [quality, file] } }
"""

# The same recipe under other keys, from the sources on, from the middle on, at the end.
VARIANTS = [
    BASE,
    BASE.replace("from: network", "from: network, format: keras"),
    BASE.replace("split: test }", "split: test, format: numpy }"),
    BASE.replace("count: 50", "count: 51"),
    BASE.replace("export: { model: int8 }", "export: { model: int8, format: c-array }"),
]


class Lab:
    """A folder with recipes, their sources, a cache and what runs leave."""

    def __init__(self, pipeline, folder):
        self.pipeline, self.folder = pipeline, Path(folder)
        for part in ["models", "data"]:
            shutil.copytree(RECIPES / part, self.folder / part)
        for i, text in enumerate(VARIANTS):
            (self.folder / f"{i}.yaml").write_text(text)

    def call(self, *arguments, **options):
        command = [self.pipeline, *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, errors="replace", **options)

    def start(self, *arguments):
        command = [self.pipeline, *map(str, arguments)]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def run(self, variant, cache="cache", out="out", timeout=120):
        return self.call("-q", "run", f"{variant}.yaml", "--cache", cache, "--out", out, timeout=timeout)

    def contents(self, out="out"):
        """What every instance made, by digest."""
        record = json.loads((self.folder / out / "record.json").read_text())
        return {i["id"]: i.get("content") for i in record["instances"]}


class Tally:
    """Counts, and what was wrong."""

    def __init__(self, name):
        self.name, self.counts, self.wrong = name, {}, []

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def fail(self, what):
        self.wrong.append(what)
        print(f"  WRONG: {what}", flush=True)

    def close(self):
        counts = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        print(f"{self.name}: {counts or 'nothing'}; {len(self.wrong)} wrong", flush=True)
        return not self.wrong


def ended_well(result):
    """An error of the program rather than a crash."""
    known = result.returncode in (0, 1, 2, 3, 4, 130)
    return known and "panicked" not in result.stderr and (result.returncode == 0 or "error" in result.stderr)


# damage ---------------------------------------------------------------------------------------------------------------


def flip(path, rng):
    size = path.stat().st_size
    if size == 0:
        return False
    path.chmod(0o644)
    with path.open("r+b") as file:
        for _ in range(rng.choice([1, 1, 3])):
            at = rng.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))
    return True


def zero(path, rng):
    size = path.stat().st_size
    path.chmod(0o644)
    path.write_bytes(bytes(size))
    return size > 0


def cut(path, rng):
    path.chmod(0o644)
    os.truncate(path, rng.randrange(path.stat().st_size + 1))
    return True


def grow(path, rng):
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(b"more")
    return True


def remove(path, rng):
    path.unlink()
    return True


def folder(path, rng):
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")
    return True


def link(path, rng):
    path.unlink()
    path.symlink_to(rng.choice(["/etc/hostname", "/nowhere", "/tmp"]))
    return True


def pipe(path, rng):
    path.unlink()
    os.mkfifo(path)
    return True


def swap(path, rng):
    others = [p for p in path.parents[1].rglob("*") if p.is_file() and p != path]
    if not others:
        return False
    path.chmod(0o644)
    path.write_bytes(rng.choice(others).read_bytes())
    return True


DAMAGES = [flip, flip, flip, flip, zero, cut, grow, remove, folder, link, pipe, swap]


def damage(pipeline, count, rng, tally):
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(pipeline, place)
        time.sleep(2.5)  # Sources must be settled, so that they are known by their times.
        expected = []
        for variant in range(len(VARIANTS)):
            result = lab.run(variant, cache="whole")
            if result.returncode != 0:
                return tally.fail(f"the undisturbed run: {result.stderr}")
            expected.append(lab.contents())
        shutil.rmtree(lab.folder / "whole")
        lab.run(0, cache="full")

        def one(number, seed):
            rng = random.Random(seed)
            cache, out = f"c{number}", f"o{number}"
            shutil.copytree(lab.folder / "full", lab.folder / cache, symlinks=True)
            files = [p for p in (lab.folder / cache / "v1").rglob("*") if p.is_file()]
            # Sources and results, records and the rest in equal shares, though there are more of some.
            kinds = {}
            for path in sorted(files):
                kinds.setdefault(path.relative_to(lab.folder / cache / "v1").parts[0], []).append(path)
            path = rng.choice(kinds[rng.choice(sorted(kinds))])
            how, variant = rng.choice(DAMAGES), rng.randrange(len(VARIANTS))
            what = f"seed {seed}: {how.__name__} {path.relative_to(lab.folder / cache)}, variant {variant}"
            if not how(path, rng):
                return ["had nothing to damage"], []
            counts, wrong = [], []
            if rng.random() < 0.3:
                checked = lab.call("cache", "verify", "--cache", cache, timeout=60)
                counts.append("verified first")
                if not ended_well(checked) and checked.returncode != 4:
                    wrong.append(f"{what}: verify: {checked.stderr}")
            for attempt in ["first", "second"]:
                try:
                    result = lab.run(variant, cache, out)
                except subprocess.TimeoutExpired:
                    wrong.append(f"{what}: the {attempt} run hangs")
                    continue
                if not ended_well(result):
                    wrong.append(f"{what}: the {attempt} run: {result.returncode} {result.stderr}")
                elif result.returncode != 0:
                    counts.append(f"{attempt} runs refused")
                elif lab.contents(out) != expected[variant]:
                    wrong.append(f"{what}: the {attempt} run has other digests")
                else:
                    counts.append(f"{attempt} runs right")
            subprocess.run(["rm", "-rf", lab.folder / cache, lab.folder / out], check=False)
            return counts, wrong

        seeds = [rng.randrange(1 << 32) for _ in range(count)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for counts, wrong in pool.map(one, range(count), seeds):
                tally.count("damages")
                for what in counts:
                    tally.count(what)
                for what in wrong:
                    tally.fail(what)


# kills, races ---------------------------------------------------------------------------------------------------------


def kill(pipeline, count, rng, tally):
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(pipeline, place)
        began = time.monotonic()
        lab.run(0, cache="whole")
        whole, expected = time.monotonic() - began, lab.contents()
        for number in range(count):
            if rng.random() < 0.5:
                shutil.rmtree(lab.folder / "cache", ignore_errors=True)
            process = lab.start("-q", "run", "0.yaml", "--cache", "cache", "--out", "out")
            time.sleep(rng.uniform(0, 1.2 * whole))
            process.send_signal(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            process.communicate()
            tally.count("killed" if process.returncode < 0 else "stopped or done")
            if number % 10 == 9:
                result = lab.run(0)
                if result.returncode != 0 or lab.contents() != expected:
                    tally.fail(f"kill {number}: the run after it: {result.returncode} {result.stderr}")
                left = [p.name for p in (lab.folder / "out").iterdir() if p.name.startswith(".pipeline-")]
                left += [p.name for p in (lab.folder / "cache/v1/tmp").iterdir()]
                if left:
                    tally.fail(f"kill {number}: left behind after the next run: {left}")
                if lab.call("cache", "verify", "--cache", "cache").returncode != 0:
                    tally.fail(f"kill {number}: the store is not sound")


def race(pipeline, count, rng, tally):
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(pipeline, place)
        expected = []
        for variant in range(len(VARIANTS)):
            lab.run(variant, cache="whole")
            expected.append(lab.contents())
        for number in range(count):
            variants = [rng.randrange(len(VARIANTS)) for _ in range(6)]
            runs = [
                lab.start("-q", "run", f"{variant}.yaml", "--cache", "cache", "--out", f"out{i}")
                for i, variant in enumerate(variants)
            ]
            beside = [["gc", "--keep", "0B"], ["verify"], ["clear"], ["stats"]]
            tidying = [lab.start("cache", *rng.choice(beside), "--cache", "cache") for _ in range(3)]
            for i, (process, variant) in enumerate(zip(runs, variants)):
                _, said = process.communicate(timeout=300)
                tally.count("runs")
                if process.returncode != 0:
                    tally.fail(f"race {number}: run {i}: {process.returncode} {said}")
                elif lab.contents(f"out{i}") != expected[variant]:
                    tally.fail(f"race {number}: run {i} has other digests")
            for process in tidying:
                _, said = process.communicate(timeout=300)
                if "panicked" in said:
                    tally.fail(f"race {number}: {said}")
        if lab.call("cache", "verify", "--cache", "cache").returncode != 0:
            tally.fail("the store is not sound after the races")


# disks ----------------------------------------------------------------------------------------------------------------

DISK = {
    "a disk that fills up in mid-run": """
        mount -t tmpfs -o size=$SIZEk none disk
        code=0; $P -q run 0.yaml --cache disk/c --out out 2>said || code=$?
        test $code = 0 -o $code = 4
        mount -o remount,size=64m disk
        $P -q run 0.yaml --cache disk/c --out out
        $P cache verify --cache disk/c
    """,
    "a full disk": """
        mount -t tmpfs -o size=64m none disk
        $P -q run 0.yaml --cache disk/c --out out
        dd if=/dev/zero of=disk/rest bs=4k 2>dd || true
        $P -q run 0.yaml --cache disk/c --out out
        $P plan 0.yaml --cache disk/c
        $P cache stats --cache disk/c
        $P cache verify --cache disk/c
        $P cache gc --keep 0B --cache disk/c
        dd if=/dev/zero of=disk/rest2 bs=4k 2>dd || true
        $P cache clear --cache disk/c
    """,
    "a read-only disk": """
        mount -t tmpfs -o size=64m none disk
        $P -q run 0.yaml --cache disk/c --out out
        mount -o remount,bind,ro disk
        $P -q run 0.yaml --cache disk/c --out out
        $P plan 0.yaml --cache disk/c
        $P explain 0.yaml int8 --cache disk/c
        $P cache stats --cache disk/c
        $P cache verify --cache disk/c
        code=0; $P -q run 1.yaml --cache disk/c --out out 2>said || code=$?
        test $code = 4
    """,
}


def disk(pipeline, count, rng, tally):
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(pipeline, place)
        (lab.folder / "disk").mkdir()
        launcher = ["unshare", "--map-root-user", "--mount", "sh", "-exc"]
        if subprocess.run([*launcher, "mount -t tmpfs none disk"], cwd=lab.folder, capture_output=True).returncode:
            print("  SKIPPED: nothing can be mounted here, so there is no full and no read-only disk", flush=True)
            return
        for name, script in DISK.items():
            for _ in range(count if "$SIZE" in script else 1):
                text = script.replace("$SIZE", str(rng.randrange(40, 4000))).replace("$P", pipeline)
                result = subprocess.run([*launcher, text], cwd=lab.folder, capture_output=True, text=True)
                tally.count(name)
                if result.returncode or "panicked" in result.stderr:
                    tally.fail(f"{name}: {result.stderr}")


# archives -------------------------------------------------------------------------------------------------------------


def archive(pipeline, count, rng, tally):
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(pipeline, place)
        zeros = lab.folder / "zeros"
        with zeros.open("wb") as file:
            file.truncate(3 << 30)
        with tarfile.open(lab.folder / "bomb.tar", "w") as tar:
            tar.add(zeros, "train/a/1.bin")
        with gzip.open(lab.folder / "bomb.tar.gz", "wb", 9) as packed, (lab.folder / "bomb.tar").open("rb") as plain:
            shutil.copyfileobj(plain, packed, 1 << 20)
        (lab.folder / "bomb.tar").unlink()
        text = BASE.replace("data/digits.npz", "bomb.tar.gz")
        (lab.folder / "bomb.yaml").write_text(text)
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        arguments = ["-q", "run", "bomb.yaml", "--cache", "cache", "--out", "out"]
        began = time.monotonic()
        result = lab.call(*arguments, preexec_fn=limit, timeout=120)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        tally.count("archives")
        print(f"  3 GiB of zeros in {(lab.folder / 'bomb.tar.gz').stat().st_size >> 20} MiB: exit "
              f"{result.returncode}, {time.monotonic() - began:.1f} s, {used} MiB", flush=True)
        if not ended_well(result) or result.returncode == 0:
            tally.fail(f"the archive was not refused: {result.returncode} {result.stderr}")
        if used > 1024:
            tally.fail(f"the archive took {used} MiB")


# signals --------------------------------------------------------------------------------------------------------------

LONG = {
    "prune": "long: { prune: { model: native, data: train, method: second-order, sparsity: 0.5, scope: global, count: 5000 } }",
    "cluster": "long: { cluster: { model: native, data: train, method: hessian, clusters: 16, count: 5000 } }",
    "gptq": "long: { quantize: { model: native, data: train, scheme: dynamic-int8, rounding: gptq, count: 5000 } }",
    "sensitivity": "long: { sensitivity: { model: native, data: train, count: 5000 } }",
    "benchmark": "long: { benchmark: { model: native, runs: 200000, kernels: reference } }",
    "evaluate": "long: { evaluate: { model: native, data: train, kernels: reference } }",
    "calibrate": "long: { calibrate: { model: native, data: train, method: kl } }",
    "shrink": "long: { shrink: { model: native, data: train, method: apoz, sparsity: 0.3, reconstruct: true, count: 5000 } }",
}

SIGNAL = """schema: pipeline/v1
name: signal
sources:
  network: { file: models/mnist_cnn.h5 }
  digits: { file: noise.npz }
steps:
  native: { import: { from: network } }
  train: { dataset: { source: digits, split: train } }
  """


def npy(shape, data):
    """A NumPy file of bytes."""
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00v\x00" + head.encode() + data


def noise(path, count, rng):
    """So many images of 28 by 28 that take long to unpack and to compute with."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("x_train.npy", npy((count, 28, 28, 1), rng.randbytes(count * 28 * 28)))
        packed.writestr("y_train.npy", npy((count,), bytes(i % 10 for i in range(count))))


def signals(pipeline, count, rng, tally):
    with tempfile.TemporaryDirectory() as place:
        lab = Lab(pipeline, place)
        noise(lab.folder / "noise.npz", 60_000, rng)
        steps = {"dataset": "", **LONG}
        for name, text in steps.items():
            (lab.folder / "long.yaml").write_text(SIGNAL + text + "\n")
            if name != "dataset":
                lab.call("-q", "run", "long.yaml", "--cache", "cache", "--out", "out", "--only", "train")
            for _ in range(count):
                process = lab.start("-q", "run", "long.yaml", "--cache", name if name == "dataset" else "cache", "--out", "out")
                time.sleep(rng.uniform(0.2, 1.5))
                process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                try:
                    process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    tally.fail(f"{name}: still there a minute after SIGTERM")
                    continue
                waited = time.monotonic() - began
                tally.count({130: "stopped", 0: "done before"}.get(process.returncode, "ended otherwise"))
                if process.returncode not in (0, 130):
                    tally.fail(f"{name}: exit {process.returncode}")
                if waited > 2:
                    tally.fail(f"{name}: {waited:.1f} s after SIGTERM")


PARTS = {
    # name: (function, how often in CI, how often in whole)
    "damage": (damage, 60, 500),
    "kill": (kill, 30, 1000),
    "race": (race, 2, 60),
    "disk": (disk, 3, 40),
    "archive": (archive, 1, 1),
    "signal": (signals, 1, 5),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--pipeline", required=True, help="the binary")
    parser.add_argument("--whole", action="store_true", help="many times more")
    parser.add_argument("--count", type=int, help="how often, for the parts that are named")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    pipeline = str(Path(args.pipeline).resolve())
    unknown = [part for part in args.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    sound = True
    for name in args.parts or PARTS:
        run, few, many = PARTS[name]
        tally = Tally(name)
        run(pipeline, args.count or (many if args.whole else few), random.Random(args.seed), tally)
        sound &= tally.close()
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
