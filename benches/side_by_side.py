#!/usr/bin/env python3
"""Puts fieldpress beside its peers on .npy files: ratios and speeds at the same bound, one thread, one after the other.

    python3 -m venv peers
    peers/bin/pip install pysz==1.1.0 hdf5plugin==7.1.0 h5py zfpy==1.0.1 fpzip==1.2.5 pcodec==1.1.0 blosc2==4.14.1 zstandard==0.25.0 numpy
    cargo build --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers    # the crate cram-codec; optional
    peers/bin/python benches/side_by_side.py FILE.npy... > table.md
    peers/bin/python benches/side_by_side.py --lossless FILE.npy... > lossless.md

Bounds are maximum errors relative to the value range of the valid values; MB are 1e6 bytes of input; times are the best of
three runs. SPERR runs inside HDF5's filter, whose copies are part of its time. A ratio in brackets: the bound did not hold.
Values of 1e20, which peers take for data, are given to them as the mean of the others. Errors are measured here, in f64, on what was
decoded, ours on files written by `fieldpress decompress`.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import blosc2
import fpzip
import h5py
import hdf5plugin
import numpy as np
import pcodec
import zfpy
import zstandard
from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

OURS = ["pack", "interp", "lorenzo", "linear", "lpc", "dwt", "dct", "tucker"]
TIERS = ["fast", "balanced", "best"]
# Timed once: they run long enough.
SLOW = ["lpc", "dct", "tucker", "best"]


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


def lossless(encode, decode):
    def run(x, _):
        start = time.perf_counter()
        packed = encode(x)
        middle = time.perf_counter()
        back = decode(packed, x)
        return len(packed), back, middle - start, time.perf_counter() - middle

    return run


def blosc(codec, level, shuffle):
    def encode(x):
        return blosc2.compress2(x, typesize=x.itemsize, codec=codec, clevel=level, filters=[shuffle], nthreads=1)

    return lossless(encode, lambda b, x: np.frombuffer(blosc2.decompress2(b, nthreads=1), x.dtype))


def zstd(level):
    encode, decode = zstandard.ZstdCompressor(level), zstandard.ZstdDecompressor()
    return lossless(lambda x: encode.compress(x.tobytes()), lambda b, x: np.frombuffer(decode.decompress(b), x.dtype))


LOSSLESS = {
    "pcodec": lossless(
        lambda x: pcodec.standalone.simple_compress(x.ravel(), pcodec.ChunkConfig()),
        lambda b, x: pcodec.standalone.simple_decompress(b),
    ),
    "fpzip": lossless(
        lambda x: fpzip.compress(fold(x, 3), precision=0, order="C"), lambda b, x: fpzip.decompress(b, order="C")
    ),
    "blosc2 shuffle+zstd": blosc(blosc2.Codec.ZSTD, 5, blosc2.Filter.SHUFFLE),
    "blosc2 bitshuffle+lz4": blosc(blosc2.Codec.LZ4, 5, blosc2.Filter.BITSHUFFLE),
    "zstd -3": zstd(3),
    "zstd -19": zstd(19),
}
PEERS = {
    "SZ3 interp": sz3(szAlgorithm.INTERP),
    "SZ3 Lorenzo": sz3(szAlgorithm.LORENZO_REG),
    "SPERR": sperr,
    "ZFP": zfp,
}


def errors(x, back, tolerance):
    """Whether the bound held, the largest error over the tolerance, and the PSNR in decibels."""
    e = back.astype(np.float64).ravel() - x.astype(np.float64).ravel()
    worst, rms = np.abs(e).max(), np.sqrt(np.mean(e * e))
    width = float(x.max()) - float(x.min())
    return worst <= tolerance, worst / tolerance if tolerance else 0.0, 20 * np.log10(width / rms) if rms else np.inf


def peer(run, x, tolerance):
    """Ratio, what `errors` tells, and the speeds of three runs' best."""
    best = [float("inf")] * 2
    for _ in range(3):
        size, back, encode, decode = run(x, tolerance)
        best = [min(best[0], encode), min(best[1], decode)]
    return x.nbytes / size, *errors(x, back, tolerance), *(x.nbytes / t / 1e6 for t in best)


def cram(command, file, tolerance):
    """The same of cram-codec, which runs once."""
    line = [command, file, repr(tolerance)]
    row = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    return tuple(row[k] for k in ["ratio", "held", "worst", "psnr", "encode_mb_s", "decode_mb_s"])


def ours(command, file, x, valid, codec, bound, tolerance):
    """The same of one of our codecs or tiers."""
    repeat = "1" if codec in SLOW else "3"
    line = [command, "bench", file, "--codec", codec, *bound, "-j", "1", "--repeat", repeat, "--json"]
    row = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory() as folder:
        archive, back = os.path.join(folder, "x.fpz"), os.path.join(folder, "x.npy")
        how = ["--tier" if codec in TIERS else "--codec", codec]
        subprocess.run([command, "compress", file, *how, *bound, "-o", archive, "-q"], check=True, capture_output=True)
        subprocess.run([command, "decompress", archive, "-o", back, "-q"], check=True, capture_output=True)
        back = np.load(back)
    # What is not valid must come back as it was.
    original = np.load(file)
    same = np.array_equal(back[~valid], original[~valid], equal_nan=True)
    held, worst, psnr = errors(original[valid], back[valid], tolerance)
    return row["ratio"], bool(held and same), worst, psnr, row["encode_mb_s"], row["decode_mb_s"]


def read(file, fill):
    """The array in native byte order, fill values replaced by the mean of the others unless they are to be kept; which are not."""
    x = np.load(file)
    x = x.astype(x.dtype.newbyteorder("="))
    valid = np.abs(x) < 1e19
    if not fill:
        x[~valid] = x[valid].mean(dtype=np.float64)
    return x, valid


def machine(command):
    """The processor, the commit and the peers' versions, in a line."""
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return f"{cpu}, one thread; fieldpress at commit {commit}, hdf5plugin {hdf5plugin.version}, numpy {np.__version__}."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rel", default="1e-2,1e-3,1e-4")
    parser.add_argument("--lossless", action="store_true", help="no bound: every bit is kept")
    parser.add_argument("--fieldpress", default="target/release/fieldpress")
    parser.add_argument("--cram", default="target/peers/release/cram")
    a = parser.parse_args()
    peers = list(LOSSLESS if a.lossless else PEERS)
    rust = [] if a.lossless or not os.path.exists(a.cram) else ["cram-codec"]
    if not rust and not a.lossless:
        print(f"no {a.cram}: left out", file=sys.stderr)
    codecs = TIERS if a.lossless else OURS + TIERS
    names = [*peers, *rust, *codecs]
    ratios, details, speeds, bounds = [], [], [], ["lossless"] if a.lossless else a.rel.split(",")
    logs = {bound: {name: [] for name in names} for bound in bounds}
    rates = {name: [] for name in names}
    for file in a.files:
        field = os.path.basename(file).removesuffix(".npy")
        x, valid = read(file, a.lossless)
        for bound in bounds:
            tolerance = 0.0 if a.lossless else float(bound) * (float(x.max()) - float(x.min()))
            cells = []
            for name in names:
                print(f"{field} {bound} {name}", file=sys.stderr)
                if name in rust:
                    got = cram(a.cram, file, tolerance)
                elif name in peers:
                    got = peer((LOSSLESS if a.lossless else PEERS)[name], x, tolerance)
                else:
                    got = ours(a.fieldpress, file, x, valid, name, ["--lossless"] if a.lossless else ["--rel", bound], tolerance)
                cells.append(got)
                logs[bound][name].append(np.log(got[0]))
                rates[name].append(np.log(got[4:]))
            row = f"| {field} | {bound} | "
            ratios.append(row + " | ".join(f"{c[0]:.4g}" if c[1] else f"({c[0]:.4g})" for c in cells) + " |")
            details.append(row + " | ".join(f"{c[3]:.1f} {c[2]:.3f}" for c in cells) + " |")
            speeds.append(row + " | ".join(f"{c[4]:.0f}/{c[5]:.0f}" for c in cells) + " |")
    head = "| field | bound | " + " | ".join(names) + " |\n|" + "---|" * (2 + len(names))
    print(machine(a.fieldpress) + "\n\nRatios:\n")
    print(head, *ratios, sep="\n")
    for bound in bounds:
        means = " | ".join(f"**{np.exp(np.mean(logs[bound][n])):.4g}**" for n in names)
        print(f"| geometric mean | {bound} | {means} |")
    print()
    groups = [("best codec", codecs), *[(f"`{t}`", [t]) for t in TIERS]]
    against = [("these peers" if a.lossless else "the C and C++ peers", peers)] + ([("all peers", peers + rust)] if rust else [])
    for bound in bounds:
        for theirs, others in against:
            best = np.max([logs[bound][n] for n in others], axis=0)
            for what, group in groups:
                gain = np.max([logs[bound][n] for n in group], axis=0) - best
                mean, least = np.exp(np.mean(gain)), np.exp(gain.min())
                won = int((gain > 0).sum())
                print(f"- {bound}: our {what} over the best of {theirs}: {mean:.3f} in the geometric mean, at least {least:.3f}, {won} of {len(gain)} won.")
    if not a.lossless:
        print("\nPSNR in decibels, and the largest error over the tolerance:\n")
        print(head, *details, sep="\n")
    print("\nMB/s, compress/decompress:\n")
    print(head, *speeds, sep="\n")
    means = [np.exp(np.mean(rates[n], axis=0)) for n in names]
    print("| geometric mean | | " + " | ".join(f"**{e:.0f}/{d:.0f}**" for e, d in means) + " |")


if __name__ == "__main__":
    main()
