#!/usr/bin/env python3
"""Puts fieldpress beside its peers on fields of spectral elements: ratios against f32 at the same relative L2 error over the domain, or the same largest error.

    python3 -m venv peers
    peers/bin/pip install pysz==1.1.0 zfpy==1.0.1 hdf5plugin==7.1.0 h5py numpy
    cargo build --release
    peers/bin/python benches/elements.py FILE.f00001[:FIELD] ... > table.md

Peers see the field as [elements, n, n, n], SPERR as [elements n, n, n], or where the elements are a box in the order of its axes as the grid that has each
shared point once (`grid`). Their tolerance is the largest, to 1 %, at which the error, measured here with the mass matrix on what was decoded, is that asked for.
`truncation` keeps the largest Legendre coefficients as f32 with a bit for each place, and bzip2 over both. Ours is the field's share of the archive.
"""

import argparse
import bz2
import io
import json
import subprocess
import sys
import tempfile

import h5py
import hdf5plugin
import numpy as np
import zfpy
from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode


def read(path, field):
    """Coordinates [d, e, ...] and the field [e, n, n, n] of a field file of Nek5000."""
    raw = open(path, "rb").read()
    head = raw[:132].split()
    word, n = int(head[1]), [int(v) for v in head[2:5]]
    count, names = int(head[5]), head[11].decode()
    d = 3 if n[2] > 1 else 2
    order = "<" if abs(np.frombuffer(raw[132:136], "<f4")[0] - 6.54321) < 1e-3 else ">"
    at, size, found = 136 + 4 * count, int(np.prod(n)), {}
    shape = (n[2], n[1], n[0]) if d == 3 else (n[1], n[0])

    def take(parts):
        nonlocal at
        values = np.frombuffer(raw, f"{order}f{word}", count * parts * size, at).reshape(count, parts, *shape)
        at += count * parts * size * word
        return [np.ascontiguousarray(values[:, k]).astype(np.float64) for k in range(parts)]

    if "X" in names:
        found.update(zip("xyz", take(d)))
    if "U" in names:
        found.update(zip(["ux", "uy", "uz"], take(d)))
    if "P" in names:
        found["p"] = take(1)[0]
    if "T" in names:
        found["t"] = take(1)[0]
    return [found[c] for c in "xyz"[:d]], found[field].astype(np.float32)


def gll(n):
    """Points, weights, derivative matrix, and the transform from coefficients to values."""
    p = np.polynomial.legendre.Legendre.basis(n - 1)
    x = np.concatenate([[-1], np.sort(p.deriv().roots().real), [1]])
    w = 2 / (n * (n - 1) * p(x) ** 2)
    q = p(x)
    apart = x[:, None] - x[None, :] + np.eye(n)
    derivative = q[:, None] / (q[None, :] * apart)
    np.fill_diagonal(derivative, 0)
    derivative[0, 0], derivative[-1, -1] = -n * (n - 1) / 4, n * (n - 1) / 4
    factors = [np.sqrt((2 * j + 1) / 2) for j in range(n - 1)] + [np.sqrt((n - 1) / 2)]
    transform = np.stack([f * np.polynomial.legendre.Legendre.basis(j)(x) for j, f in enumerate(factors)], 1)
    return w, derivative, transform


def along(matrix, u, axis):
    return np.moveaxis(np.tensordot(matrix, u, (1, axis)), 0, axis)


def mass(coordinates):
    d, n = len(coordinates), coordinates[0].shape[-1]
    w, derivative, _ = gll(n)
    jacobian = np.stack([np.stack([along(derivative, c, d - a) for a in range(d)], -1) for c in coordinates], -2)
    weights = w
    for _ in range(d - 1):
        weights = np.multiply.outer(weights, w)
    return np.abs(np.linalg.det(jacobian)) * weights


def sz3(u, tolerance):
    best = None
    for algorithm in [szAlgorithm.INTERP_LORENZO, szAlgorithm.LORENZO_REG]:
        config = szConfig(u.shape)
        config.errorBoundMode = szErrorBoundMode.ABS
        config.absErrorBound = tolerance
        config.cmprAlgo = algorithm
        packed, _ = sz.compress(u, config)
        if best is None or packed.nbytes < best[0]:
            best = (packed.nbytes, sz.decompress(packed, u.dtype, u.shape)[0])
    return best


def zfp(u, tolerance):
    packed = zfpy.compress_numpy(u, tolerance=tolerance)
    return len(packed), zfpy.decompress_numpy(packed)


def sperr(u, tolerance):
    x = u.reshape(-1, *u.shape[-2:]) if u.ndim == 4 else u
    x = x.reshape(x.shape[::-1])
    memory = io.BytesIO()
    with h5py.File(memory, "w") as f:
        data = f.create_dataset("x", data=x, chunks=x.shape, **hdf5plugin.Sperr(absolute=tolerance))
        f.flush()
        size = data.id.get_storage_size()
    with h5py.File(memory, "r") as f:
        return size, f["x"][...].reshape(u.shape)


def truncation(u, tolerance):
    """`tolerance` is that of coefficients."""
    d = u.ndim - 1
    w, _, transform = gll(u.shape[-1])
    c = u.astype(np.float64)
    for a in range(1, d + 1):
        c = along(transform.T * w, c, a)
    kept = np.abs(c) > tolerance
    packed = bz2.compress(np.packbits(kept).tobytes()) + bz2.compress(c[kept].astype(np.float32).tobytes())
    back = np.where(kept, c.astype(np.float32), 0).astype(np.float64)
    for a in range(1, d + 1):
        back = along(transform, back, a)
    return len(packed), back.astype(np.float32)


def grid_of(coordinates):
    """The places of all points in the grid of a rectilinear box, and its shape."""
    steps = [np.unique(np.round(c, 4)) for c in coordinates]
    shape = tuple(len(s) for s in steps[::-1])
    if np.prod(shape) >= coordinates[0].size:
        return None
    index = [np.searchsorted(s, np.round(c, 4)) for s, c in zip(steps, coordinates)]
    return tuple(index[::-1]), shape


def on_grid(peer, places, shape):
    def run(u, tolerance):
        grid = np.zeros(shape, u.dtype)
        grid[places] = u
        size, back = peer(grid, tolerance)
        return size, back[places]

    return run


def largest(peer, u, error, limit):
    low, high, best = 1e-9 * np.ptp(u), 10.0 * np.ptp(u), None
    while high / low > 1.01:
        middle = np.sqrt(low * high)
        size, back = peer(u, middle)
        if error(back) <= limit:
            low, best = middle, size if best is None else min(best, size)
        else:
            high = middle
    return best


def ours(path, field, bound, limit, extra):
    binary = "target/release/fieldpress"
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/a.fpz"
        command = [binary, "compress", path, f"--{bound}", str(limit), "-o", output, "--json", *extra]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    array = next(a for a in report["arrays"] if a["name"] == field)
    return array["bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--limits", default="1e-2,1e-3,1e-4")
    args = parser.parse_args()
    columns = ["SZ3", "SZ3 grid", "ZFP", "ZFP grid", "SPERR", "SPERR grid", "truncation", "legendre", "sem-c0", "fieldpress"]
    print("| field | bound | " + " | ".join(columns) + " |")
    print("|---|---|" + "---:|" * len(columns))
    for name in args.files:
        path, _, field = name.partition(":")
        coordinates, u = read(path, field or "ux")
        weights, d = mass(coordinates), u.ndim - 1
        norm, ptp = np.sqrt(np.sum(weights * u.astype(np.float64) ** 2)), np.ptp(u)
        place = grid_of(coordinates)
        for bound in ["l2", "rel"]:
            for limit in args.limits.split(","):
                def error(back):
                    e = back.astype(np.float64) - u
                    return np.sqrt(np.sum(weights * e * e)) / norm if bound == "l2" else np.abs(e).max() / ptp

                sizes = []
                for peer in [sz3, zfp, sperr]:
                    sizes.append(largest(peer, u, error, float(limit)))
                    sizes.append(largest(on_grid(peer, *place), u, error, float(limit)) if place else None)
                sizes.append(largest(truncation, u, error, float(limit)))
                names = "" if d == 3 else ",z="
                sizes.append(ours(path, field or "ux", bound, limit, ["--codec", "legendre:x=x,y=y,z=" + ("z" if d == 3 else "")]))
                sizes.append(ours(path, field or "ux", bound, limit, ["--codec", "sem-c0:coder=mixed" + names]))
                sizes.append(ours(path, field or "ux", bound, limit, []))
                cells = [f"{4 * u.size / s:.2f}" if s else "-" for s in sizes]
                print(f"| {path.split('/')[-1]} {field or 'ux'} | {bound} {limit} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
