"""Writes classification.json: classification metrics as scikit-learn, imbalanced-learn and SciPy compute them.

    python classification.py > classification.json     # versions used are written into the file

Scores are small integers, so many samples tie, as int8 outputs do.
"""

import json
import sys

import imblearn
import numpy as np
import scipy
import sklearn
from imblearn.metrics import geometric_mean_score, specificity_score
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
)


def five_best(labels, scores):
    """Share of samples whose class is among the five best; equal scores in order of their index, as tf.math.top_k."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    return float(np.mean([label in best for label, best in zip(labels, order)]))


def case(name, labels, scores):
    n = scores.shape[1]
    classes = list(range(n))
    predicted = np.argmax(scores, axis=1)
    given = {"labels": classes, "zero_division": 0}
    sensitivity = recall_score(labels, predicted, average=None, **given)
    specificity = specificity_score(labels, predicted, average=None, labels=classes)
    correct = int((labels == predicted).sum())
    interval = binomtest(correct, len(labels)).proportion_ci(0.95, method="wilson")
    return {
        "name": name,
        "labels": labels.tolist(),
        "scores": scores.tolist(),
        "accuracy": accuracy_score(labels, predicted),
        "interval": [interval.low, interval.high],
        "top5": five_best(labels, scores) if n >= 6 else None,
        "precision": precision_score(labels, predicted, average=None, **given).tolist(),
        "sensitivity": sensitivity.tolist(),
        "specificity": specificity.tolist(),
        "f1": f1_score(labels, predicted, average=None, **given).tolist(),
        "g_mean": geometric_mean_score(labels, predicted, average=None, labels=classes).tolist(),
        "mean": {
            "precision": precision_score(labels, predicted, average="macro", **given),
            "sensitivity": recall_score(labels, predicted, average="macro", **given),
            "specificity": float(specificity.mean()),
            "f1": f1_score(labels, predicted, average="macro", **given),
            "g_mean": float(geometric_mean_score(labels, predicted, average="multiclass", labels=classes)),
        },
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def draw(rng, samples, classes, skill, allowed=None):
    labels = rng.choice(allowed if allowed is not None else classes, samples)
    scores = rng.integers(0, 6, (samples, classes))
    scores[np.arange(samples), labels] += rng.integers(0, skill, samples)
    return labels, scores


rng = np.random.default_rng(7)
absent = draw(rng, 60, 7, 5, allowed=[0, 1, 2, 4, 5, 6])
absent[1][:, 5] = -1  # class 5 has samples and is never predicted; class 3 has none
cases = [
    case("ten classes with ties", *draw(rng, 120, 10, 7)),
    case("four classes, no top 5", *draw(rng, 50, 4, 6)),
    case("two classes", *draw(rng, 40, 2, 6)),
    case("a class without samples and one never predicted", *absent),
]
versions = {m.__name__: m.__version__ for m in (sklearn, imblearn, scipy, np)}
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
sys.stdout.write('{"versions":%s,"cases":[\n%s\n]}\n' % (json.dumps(versions), lines))
