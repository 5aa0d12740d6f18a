#!/usr/bin/env python3
"""Check with PyWavelets that wavelet transforms give the same coefficients and the same values.

    check_wavelets.py CASES DATA

A line of CASES is `WAVELET MODE LEVELS EXTENT...`. DATA holds as f64, case by case, the values of an array, its coefficients where the
format of `wavelet` puts them, the same rounded to whole numbers, and the values of these. Exit 0 when all agree, 1 when not, 77 without
PyWavelets.
"""

import itertools
import sys

try:
    import numpy as np
    import pywt
except ImportError:
    print("skipped: PyWavelets is not installed")
    sys.exit(77)

MODES = {"symmetric": "symmetric", "zero": "zero", "periodic": "periodization"}


def places(shape, coefficients, stationary):
    """For each set of coefficients, the key of PyWavelets (level, name) and where it lies; and the extents of the whole."""
    rank = len(shape)
    keys = ["".join("ad"[bits >> k & 1] for k in range(rank)) for bits in range(1, 1 << rank)]
    if stationary:
        bands = [(0, None)] + [(i, key) for i in range(1, len(coefficients)) for key in keys]
        found = [
            (band, tuple([slice(i * shape[0], (i + 1) * shape[0])] + [slice(0, n) for n in shape[1:]]))
            for i, band in enumerate(bands)
        ]
        return found, [len(bands) * shape[0], *shape[1:]]
    extents = list(coefficients[0].shape)
    found = [((0, None), tuple(slice(0, n) for n in extents))]
    for i in range(1, len(coefficients)):
        part = coefficients[i][keys[0]].shape
        for key in keys:
            start = [extents[k] if key[k] == "d" else 0 for k in range(rank)]
            found.append(((i, key), tuple(slice(s, s + n) for s, n in zip(start, part))))
        extents = [e + n for e, n in zip(extents, part)]
    return found, extents


def main():
    data = np.fromfile(sys.argv[2])
    at, failed, worst = 0, False, 0.0

    def take(shape):
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return data[at - n : at].reshape(shape)

    with open(sys.argv[1]) as file:
        cases = [line.split() for line in file]
    for name, mode, levels, *shape in cases:
        shape, levels = [int(n) for n in shape], int(levels)
        stationary = mode == "stationary"
        x = take(shape)
        if stationary:
            c = pywt.swtn(x, name, levels, trim_approx=True)
        else:
            c = pywt.wavedecn(x, name, MODES[mode], levels)
        bands, extents = places(shape, c, stationary)
        found, rounded, y = take(extents), take(extents), take(shape)
        expected, again = np.zeros(extents), [c[0]] + [dict(d) for d in c[1:]]
        for (level, key), place in bands:
            if key is None:
                expected[place], again[0] = c[0], rounded[place]
            else:
                expected[place], again[level][key] = c[level][key], rounded[place]
        back = pywt.iswtn(again, name) if stationary else pywt.waverecn(again, name, MODES[mode])
        back = back[tuple(slice(0, n) for n in shape)]
        error = max(abs(found - expected).max() / abs(expected).max(), abs(back - y).max() / abs(back).max())
        worst = max(worst, error)
        # The values of some of its filters have 11 digits.
        if error > (5e-10 if name.startswith(("sym", "bior", "rbio")) else 1e-12):
            print(f"{name} {mode} {levels} {shape}: {error}")
            failed = True
    print(f"{len(cases)} cases, largest difference {worst:.2g}")
    sys.exit(failed or at != len(data))


if __name__ == "__main__":
    main()
