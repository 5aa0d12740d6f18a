#!/usr/bin/env python3
"""Check with NumPy that files written by fieldpress open and hold given arrays, bit for bit.

    check_npy.py FILE.npy EXPECTED.npy
    check_npy.py FILE.npz NAME=EXPECTED.npy ...

Members of FILE.npz must be the named ones, in that order. Exit 0 when all agree, 1 when not, 77 without NumPy.
"""

import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)


def same(name, found, expected):
    """Whether two arrays have the same shape, values (NaN and -0.0 included) and type, byte order aside."""
    kind = found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    agree = kind and found.shape == expected.shape
    agree = agree and found.astype(found.dtype.newbyteorder("<")).tobytes() == expected.astype(
        expected.dtype.newbyteorder("<")
    ).tobytes()
    if not agree:
        print(f"{name}: expected {expected.dtype} {expected.shape}, found {found.dtype} {found.shape} or other values")
    return agree


def main(file, *expected):
    found = np.load(file, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return same(file, found, np.load(expected[0], allow_pickle=False))
    pairs = dict(e.split("=", 1) for e in expected)
    if list(found.keys()) != list(pairs):
        print(f"{file}: expected the members {list(pairs)}, found {list(found.keys())}")
        return False
    return all([same(n, found[n], np.load(p, allow_pickle=False)) for n, p in pairs.items()])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(0 if main(*sys.argv[1:]) else 1)
