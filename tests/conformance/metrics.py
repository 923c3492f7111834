"""Writes tests/golden/metrics/*.json: what scikit-learn and pycocotools say of random targets and outputs, for the tests of the crate `measure`.

    pip install numpy scikit-learn pycocotools
    python tests/conformance/metrics.py            # versions used are written into the files
    python tests/conformance/metrics.py --check    # exit code 1 if a file would change

Scores are multiples of an eighth, so many of them tie, as the outputs of integer models do.
"""

import contextlib
import importlib.metadata
import io
import json
import pathlib
import sys

import numpy as np
import sklearn
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn import metrics as sk
from sklearn.metrics import pairwise

FOLDER = pathlib.Path(__file__).parent.parent / "golden" / "metrics"


def eighths(rng, *shape):
    return rng.integers(-16, 17, shape) / 8


def regression(rng):
    for samples, outputs in [(40, 1), (25, 3)]:
        targets = eighths(rng, samples, outputs)
        found = targets + rng.integers(-6, 7, (samples, outputs)) / 8
        if outputs > 1:
            targets[:, -1] = 0.5  # no spread: R² is 0 by force_finite
        given = {"multioutput": "raw_values"}
        yield {
            "targets": targets.tolist(),
            "outputs": found.tolist(),
            "mae": sk.mean_absolute_error(targets, found),
            "rmse": sk.root_mean_squared_error(targets, found),
            "r2": sk.r2_score(targets, found),
            "each": {
                "mae": sk.mean_absolute_error(targets, found, **given).tolist(),
                "rmse": sk.root_mean_squared_error(targets, found, **given).tolist(),
                "r2": sk.r2_score(targets, found, **given).tolist(),
            },
        }


def anomaly(rng):
    for samples, share, beta, most in [(60, 0.5, 1.0, 0.1), (200, 0.1, 2.0, 0.25), (30, 0.8, 0.5, 1.0)]:
        positive = rng.random(samples) < share
        positive[:2] = [True, False]
        scores = eighths(rng, samples) + positive * 0.75
        threshold = 0.5
        yield {
            "positive": positive.tolist(),
            "scores": scores.tolist(),
            "most": most,
            "beta": beta,
            "at": threshold,
            "roc-auc": sk.roc_auc_score(positive, scores),
            "partial-auc": sk.roc_auc_score(positive, scores, max_fpr=most) if most < 1 else sk.roc_auc_score(positive, scores),
            "average-precision": sk.average_precision_score(positive, scores),
            "f-beta": sk.fbeta_score(positive, scores >= threshold, beta=beta),
            "best": max(sk.fbeta_score(positive, scores >= at, beta=beta) for at in np.unique(scores)),
        }


def multilabel(rng):
    for samples, classes, beta in [(50, 4, 1.0), (30, 7, 2.0)]:
        truth = (rng.random((samples, classes)) < 0.3).astype(int)
        scores = eighths(rng, samples, classes) + truth
        scores[:, 0] -= 8  # never found: zero_division
        decided = (scores >= 0.5).astype(int)
        given = {"beta": beta, "zero_division": 0}
        yield {
            "truth": truth.tolist(),
            "scores": scores.tolist(),
            "beta": beta,
            "f-beta": sk.fbeta_score(truth, decided, average="macro", **given),
            "average-precision": sk.average_precision_score(truth, scores, average="macro"),
            "roc-auc": sk.roc_auc_score(truth, scores, average="macro"),
            "accuracy": sk.accuracy_score(truth, decided),
            "precision": sk.precision_score(truth, decided, average="macro", zero_division=0),
            "sensitivity": sk.recall_score(truth, decided, average="macro", zero_division=0),
            "micro-f-beta": sk.fbeta_score(truth, decided, average="micro", **given),
            "micro-precision": sk.precision_score(truth, decided, average="micro", zero_division=0),
            "micro-sensitivity": sk.recall_score(truth, decided, average="micro", zero_division=0),
            "micro-average-precision": sk.average_precision_score(truth, scores, average="micro"),
            "hamming-loss": sk.hamming_loss(truth, decided),
            "each": {
                "f-beta": sk.fbeta_score(truth, decided, average=None, **given).tolist(),
                "average-precision": sk.average_precision_score(truth, scores, average=None).tolist(),
                "roc-auc": sk.roc_auc_score(truth, scores, average=None).tolist(),
            },
        }


def segmentation(rng):
    for samples, pixels, classes in [(6, 48, 4), (3, 100, 2)]:
        masks = rng.integers(0, classes, (samples, pixels))
        found = np.where(rng.random(masks.shape) < 0.6, masks, rng.integers(0, classes, masks.shape))
        masks[rng.random(masks.shape) < 0.1] = 255
        known = masks != 255
        labels = list(range(classes))
        flat = (masks[known], found[known])
        yield {
            "masks": masks.tolist(),
            "found": found.tolist(),
            "classes": classes,
            "mean-iou": sk.jaccard_score(*flat, labels=labels, average="macro"),
            "dice": sk.f1_score(*flat, labels=labels, average="macro"),
            "pixel-accuracy": sk.accuracy_score(*flat),
            "each": {
                "iou": sk.jaccard_score(*flat, labels=labels, average=None).tolist(),
                "dice": sk.f1_score(*flat, labels=labels, average=None).tolist(),
            },
        }


def detection(rng):
    # Fifty objects: recalls are multiples of 0.02, which precision is read at.
    for images, classes, most in [(8, 3, None), (5, 1, None), (24, 1, 50)]:
        truth, found = [], []
        for image in range(images):
            for _ in range(rng.integers(0, 7)):
                x, y = rng.integers(0, 200, 2)
                w, h = rng.integers(4, 160, 2)
                box, label = [int(x), int(y), int(w), int(h)], int(rng.integers(0, classes))
                crowd = int(rng.random() < 0.15)
                area = float(w * h) * (0.6 if rng.random() < 0.3 else 1.0)
                truth.append({"id": len(truth) + 1, "image_id": image, "category_id": label, "bbox": box, "area": area, "iscrowd": crowd})
                for _ in range(rng.integers(0, 4)):
                    moved = [int(v) for v in np.array(box) + rng.integers(-6, 7, 4)]
                    moved[2:] = [max(v, 1) for v in moved[2:]]
                    label = label if rng.random() < 0.8 else int(rng.integers(0, classes))
                    found.append({"image_id": image, "category_id": label, "bbox": moved, "score": int(rng.integers(1, 16)) / 16})
            for _ in range(rng.integers(0, 3)):
                box = [int(v) for v in rng.integers(1, 120, 4)]
                found.append({"image_id": image, "category_id": int(rng.integers(0, classes)), "bbox": box, "score": int(rng.integers(1, 16)) / 16})
        if most:
            truth = [{**entry, "iscrowd": 0} for entry in truth[:most]]
            assert len(truth) == most
        with contextlib.redirect_stdout(io.StringIO()):
            known = COCO()
            known.dataset = {
                "images": [{"id": image} for image in range(images)],
                "categories": [{"id": label} for label in range(classes)],
                "annotations": truth,
            }
            known.createIndex()
            judged = COCOeval(known, known.loadRes(found), "bbox")
            judged.evaluate()
            judged.accumulate()
            judged.summarize()
        names = ["map", "map50", "map75", "map-small", "map-medium", "map-large", "mar-1", "mar-10", "mar-100"]
        precision = judged.eval["precision"][:, :, :, 0, 2]
        yield {
            "images": images,
            "classes": classes,
            "truth": [[t["image_id"], t["category_id"], *t["bbox"], t["area"], t["iscrowd"]] for t in truth],
            "found": [[f["image_id"], f["category_id"], *f["bbox"], f["score"]] for f in found],
            **{name: float(value) for name, value in zip(names, judged.stats) if value >= 0},
            "each": {
                "ap": [float(precision[:, :, label].mean()) for label in range(classes)],
                "ap50": [float(precision[0, :, label].mean()) for label in range(classes)],
            },
        }


def keypoints(rng):
    for samples, points, within in [(30, 4, 0.2), (12, 7, 0.5)]:
        truth = rng.integers(0, 64, (samples, points, 2)).astype(float)
        found = truth + rng.integers(-12, 13, truth.shape) / 2
        visible = rng.random((samples, points)) < 0.8
        visible[:, 0] = True
        lengths = rng.integers(8, 40, samples).astype(float)
        off = np.linalg.norm(truth - found, axis=2) / lengths[:, None]
        shown = [off[visible[:, point], point] for point in range(points)]
        right = [float((of_point <= within).mean()) for of_point in shown]
        yield {
            "truth": truth.tolist(),
            "found": found.tolist(),
            "visible": visible.tolist(),
            "lengths": lengths.tolist(),
            "within": within,
            "pck": float((off[visible] <= within).mean()),
            "mean-pck": float(np.mean(right)),
            "nme": float(off[visible].mean()),
            "each": {"pck": right, "nme": [float(of_point.mean()) for of_point in shown]},
        }


def similarity(rng):
    for samples, width, classes in [(60, 8, 5), (40, 3, 12)]:
        labels = rng.integers(0, classes, samples)
        vectors = rng.normal(size=(classes, width))[labels] + rng.normal(size=(samples, width)) * 0.8
        vectors = vectors.astype(np.float32)
        vectors[1] = vectors[0]  # one embedding twice
        unit = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
        near = pairwise.cosine_similarity(vectors.astype(float))
        assert np.allclose(near, unit @ unit.T)
        same = labels[:, None] == labels[None, :]
        places = []
        for query in range(samples):
            others = np.arange(samples) != query
            own = near[query][others & same[query]]
            if len(own):
                places.append(int((near[query][others & ~same[query]] >= own.max()).sum()))
        first, second = np.triu_indices(samples, 1)
        yield {
            "embeddings": vectors.tolist(),
            "classes": labels.tolist(),
            **{f"recall-at-{k}": float(np.mean(np.array(places) < k)) for k in (1, 5, 10)},
            "roc-auc": sk.roc_auc_score(same[first, second], near[first, second]),
        }


def main():
    stale = False
    for number, task in enumerate([regression, anomaly, multilabel, segmentation, detection, keypoints, similarity]):
        cases = list(task(np.random.default_rng(11 + number)))
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        packages = ("numpy", "scikit-learn", "pycocotools")
        versions = json.dumps({package: importlib.metadata.version(package) for package in packages})
        text = '{"versions":%s,"cases":[\n%s\n]}\n' % (versions, lines)
        file = FOLDER / f"{task.__name__}.json"
        if "--check" in sys.argv:
            known = json.loads(file.read_text())["cases"]
            if known != cases:
                print(f"{file}: differs", file=sys.stderr)
                stale = True
        else:
            file.write_text(text)
    sys.exit(stale)


main()
