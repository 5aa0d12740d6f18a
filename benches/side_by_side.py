#!/usr/bin/env python3
"""Puts fieldpress beside SZ3, SPERR and ZFP on .npy files: ratios and speeds at the same bound, one thread, one after the other.

    python3 -m venv peers && peers/bin/pip install pysz==1.1.0 hdf5plugin h5py zfpy==1.0.1 numpy
    peers/bin/python benches/side_by_side.py FILE.npy... > table.md

Bounds are maximum errors relative to the value range of the valid values; MB are 1e6 bytes of input; times are the best of
three runs. SPERR runs inside HDF5's filter, whose copies are part of its time. A ratio in brackets: the bound did not hold.
Values of 1e20, which peers take for data, are given to them as the mean of the others.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time

import h5py
import hdf5plugin
import numpy as np
import zfpy
from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

OURS = ["pack", "interp", "lorenzo", "lpc", "dwt", "dct"]


def fold(x, rank):
    """The array with its first axes joined, so that it has at most `rank`; axes of length 1 removed."""
    x = x.squeeze()
    while x.ndim > rank:
        x = x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
    return np.ascontiguousarray(x)


def sz3(algorithm):
    def run(x, tolerance):
        config = szConfig(x.shape)
        config.errorBoundMode = szErrorBoundMode.ABS
        config.absErrorBound = tolerance
        config.cmprAlgo = algorithm
        start = time.perf_counter()
        packed, _ = sz.compress(x, config)
        middle = time.perf_counter()
        back, _ = sz.decompress(packed, x.dtype, x.shape)
        return packed.nbytes, back, middle - start, time.perf_counter() - middle

    return run


def sperr(x, tolerance):
    x = fold(x, 3)
    # The filter takes the extents in the other order: told the reversed shape of the same values, it does best.
    x = x.reshape(x.shape[::-1])
    # A file in memory; one chunk, so that the filter sees the whole array.
    memory = io.BytesIO()
    with h5py.File(memory, "w") as f:
        start = time.perf_counter()
        d = f.create_dataset("x", data=x, chunks=x.shape, **hdf5plugin.Sperr(absolute=tolerance))
        f.flush()
        middle = time.perf_counter()
        size = d.id.get_storage_size()
    with h5py.File(memory, "r") as f:
        again = time.perf_counter()
        back = f["x"][...]
        end = time.perf_counter()
    return size, back, middle - start, end - again


def zfp(x, tolerance):
    start = time.perf_counter()
    packed = zfpy.compress_numpy(x, tolerance=tolerance)
    middle = time.perf_counter()
    back = zfpy.decompress_numpy(packed)
    return len(packed), back, middle - start, time.perf_counter() - middle


PEERS = {
    "SZ3 interp": sz3(szAlgorithm.INTERP),
    "SZ3 Lorenzo": sz3(szAlgorithm.LORENZO_REG),
    "SPERR": sperr,
    "ZFP": zfp,
}


def peer(run, x, tolerance):
    """Ratio, whether the bound held, and the speeds of three runs' best."""
    best = [float("inf")] * 2
    for _ in range(3):
        size, back, encode, decode = run(x, tolerance)
        best = [min(best[0], encode), min(best[1], decode)]
    error = np.abs(back.astype(np.float64).ravel() - x.astype(np.float64).ravel()).max()
    speed = [x.nbytes / t / 1e6 for t in best]
    return x.nbytes / size, error <= tolerance, *speed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rel", default="1e-2,1e-3,1e-4")
    parser.add_argument("--fieldpress", default="target/release/fieldpress")
    a = parser.parse_args()
    names = [*PEERS, *OURS]
    ratios, speeds = [], []
    logs = {name: [] for name in names}
    gains = {rel: [] for rel in a.rel.split(",")}
    for file in a.files:
        field = os.path.basename(file).removesuffix(".npy")
        x = np.load(file).astype(np.load(file, mmap_mode="r").dtype.newbyteorder("="))
        valid = np.abs(x) < 1e19
        x[~valid] = x[valid].mean(dtype=np.float64)
        for rel in a.rel.split(","):
            tolerance = float(rel) * (float(x.max()) - float(x.min()))
            cells, rates = [], []
            for name, run in PEERS.items():
                print(f"{field} {rel} {name}", file=sys.stderr)
                ratio, held, encode, decode = peer(run, x, tolerance)
                logs[name].append(np.log(ratio))
                cells.append(f"{ratio:.4g}" if held else f"({ratio:.4g})")
                rates.append(f"{encode:.0f}/{decode:.0f}")
            for name in OURS:
                command = [a.fieldpress, "bench", file, "--codec", name, "--rel", rel, "-j", "1", "--repeat", "3", "--json"]
                row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                logs[name].append(np.log(row["ratio"]))
                cells.append(f"{row['ratio']:.4g}")
                rates.append(f"{row['encode_mb_s']:.0f}/{row['decode_mb_s']:.0f}")
            last = {name: logs[name][-1] for name in names}
            gains[rel].append(max(last[n] for n in OURS) - max(last[n] for n in PEERS))
            ratios.append(f"| {field} | {rel} | " + " | ".join(cells) + " |")
            speeds.append(f"| {field} | {rel} | " + " | ".join(rates) + " |")
    head = "| field | rel | " + " | ".join(names) + " |\n|" + "---|" * (2 + len(names))
    print("Ratios:\n")
    print(head, *ratios, sep="\n")
    mean = " | ".join(f"**{np.exp(np.mean(logs[n])):.4g}**" for n in names)
    print(f"| geometric mean | | {mean} |\n")
    for rel, g in gains.items():
        mean, least = np.exp(np.mean(g)), np.exp(min(g))
        print(f"At {rel}, the best of ours over the best of these peers: {mean:.3f} in the geometric mean, at least {least:.3f}.")
    print()
    print("MB/s, compress/decompress:\n")
    print(head, *speeds, sep="\n")


if __name__ == "__main__":
    main()
