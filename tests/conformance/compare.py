"""Compares two .npy files and says how far they are apart, as one JSON object.

    python compare.py ours.npy theirs.npy                    # equal in every bit?
    python compare.py ours.npy theirs.npy --atol 1e-5        # |ours - theirs| <= atol + rtol * |theirs|

Exit code 0 if they agree as asked, 1 if they don't, 2 if an argument is wrong. A different shape or element type never
agrees. NaN agrees with NaN of the same bits only, with a tolerance too.
"""

import argparse
import json
import sys

import numpy as np


def bits(values):
    """The bytes of each element as one unsigned integer, so that -0.0 differs from 0.0 and NaN equals itself."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def compare(ours, theirs, atol=0.0, rtol=0.0):
    """A report on two arrays with samples along the first dimension; `agree` is the verdict."""
    report = {"shapes": [list(ours.shape), list(theirs.shape)], "dtypes": [ours.dtype.name, theirs.dtype.name]}
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype or ours.dtype.itemsize > 8:
        return report | {"agree": False}
    if ours.size == 0:
        return report | {"agree": False, "reason": "there is nothing to compare"}

    unequal = bits(ours) != bits(theirs)
    wide = np.float64 if ours.dtype.kind == "f" else np.int64
    with np.errstate(invalid="ignore"):
        distance = np.abs(ours.astype(wide) - theirs.astype(wide))
        if atol or rtol:
            apart = unequal & ~(distance <= atol + rtol * np.abs(theirs.astype(np.float64)))
        else:
            apart = unequal
    report |= {
        "elements": ours.size,
        "unequal": int(unequal.sum()),
        "apart": int(apart.sum()),
        "max_distance": float(np.nan_to_num(distance, nan=np.inf)[unequal].max(initial=0)),
    }
    if ours.ndim >= 2:
        rows = apart.reshape(len(apart), -1).any(axis=1)
        report |= {"samples": len(rows), "samples_apart": int(rows.sum())}
        if ours.ndim == 2:
            report["decisions_apart"] = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    if ours.dtype.kind in "iu":
        steps, counts = np.unique(distance[unequal], return_counts=True)
        report["steps"] = {str(step): int(count) for step, count in zip(steps[:16], counts)}
    if apart.any():
        place = np.unravel_index(int(apart.argmax()), apart.shape)
        report["first_apart"] = {
            "index": [int(i) for i in place],
            "ours": ours[place].item(),
            "theirs": theirs[place].item(),
        }
    return report | {"agree": not apart.any()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("ours")
    arguments.add_argument("theirs")
    arguments.add_argument("--atol", type=float, default=0.0)
    arguments.add_argument("--rtol", type=float, default=0.0)
    args = arguments.parse_args()
    try:
        ours, theirs = np.load(args.ours), np.load(args.theirs)
    except (OSError, ValueError) as error:
        arguments.error(str(error))
    report = compare(ours, theirs, args.atol, args.rtol)
    print(json.dumps(report))
    sys.exit(0 if report["agree"] else 1)


if __name__ == "__main__":
    main()
