#!/usr/bin/env python3
"""Write the streams of ZFP that `cargo test --test zfp` holds the library to.

    make_zfp_streams.py FOLDER

FOLDER/streams.bin has the streams that zfpy makes of small arrays, one after the other; FOLDER/streams.txt a line for each: type,
extents, kind of data, mode, its number (0 where it has none), bytes of the stream, CRC32C of the little-endian values that zfpy decodes.
The arrays are those of `values`, which the test has too. Needs zfpy 1.0.1 and NumPy.
"""

import itertools
import os
import sys

import numpy as np
import zfpy

SHAPES = [(13,), (6, 7), (3, 4, 6), (2, 3, 5, 3)]
MASK = (1 << 64) - 1


def hashed(i):
    """The output of SplitMix64 for state i."""
    z = (i + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def integers(shape, kind):
    """Integers of up to 2^20: a wave with a little noise, noise alone, or zeros with a few others."""
    for i, at in enumerate(itertools.product(*map(range, shape))):
        h = hashed(i)
        if kind == "sparse":
            yield (h >> 46) - (1 << 17) if h % 16 == 0 else 0
        elif kind == "noise":
            yield (h >> 43) - (1 << 20)
        else:
            wave = sum((k + 3) * (c - 2 * k) * (c + 1) for k, c in enumerate(at))
            yield 700 * wave + (h >> 58) - 32


def values(dtype, shape, kind):
    """The array: the integers times a power of two, or in the highest bits of an integer type."""
    small = dtype in ("f32", "i32")
    v = np.array(list(integers(shape, kind)), dtype=np.int64).reshape(shape)
    if dtype[0] == "i":
        shift = {"full": 11 if small else 43, "noise": 8 if small else 40}.get(kind, 3)
        return (v << shift).astype(np.int32 if small else np.int64)
    # Where lossy modes scale smaller numbers the original's result is undefined.
    exponents = {"large": (105, 1000), "tiny": (-100, -964), "tinier": (-120, -985), "subnormal": (-150, -1075)}
    exponent = exponents.get(kind, (-9, -9))[0 if small else 1]
    x = np.ldexp(v.astype(np.float64), exponent)
    if kind == "signed":
        x = np.where(v % 3 == 0, -0.0, x)
    return x.astype(np.float32 if small else np.float64)


def cases():
    """Type, shape, kind of data, mode, number."""
    # Whole blocks of noise tell all coefficients apart.
    for d in range(1, 5):
        yield "i32", (4,) * d, "noise", "reversible", 0
    for dtype in ("f32", "f64", "i32", "i64"):
        for shape in SHAPES:
            d = len(shape)
            for kind in ("smooth", "sparse") if d == 4 else ("smooth", "noise", "sparse"):
                yield dtype, shape, kind, "reversible", 0
            yield dtype, shape, "smooth", "precision", 9
            yield dtype, shape, "noise", "precision", 14 if d == 4 else 27
            yield dtype, shape, "smooth", "rate", [7, 3.3, 2, 1.7][d - 1]
            yield dtype, shape, "sparse", "rate", [4, 1, 0.5, 0.2][d - 1]
            if dtype[0] == "f":
                for kind, tolerance in (("smooth", 3.0), ("noise", 0.01), ("large", 1e-3), ("tiny", 1e-300)):
                    yield dtype, shape, kind, "accuracy", tolerance
                yield dtype, shape, "smooth", "accuracy", 0
                for kind in () if d == 4 else ("subnormal", "signed", "large", "tinier"):
                    yield dtype, shape, kind, "reversible", 0
            else:
                yield dtype, shape, "full", "reversible", 0


def crc32c(data):
    """The Castagnoli CRC."""
    crc = MASK >> 32
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ MASK >> 32


def main(folder):
    options = {"rate": "rate", "precision": "precision", "accuracy": "tolerance"}
    streams, lines = b"", []
    for dtype, shape, kind, mode, number in cases():
        given = {options[mode]: number} if mode in options else {}
        stream = zfpy.compress_numpy(values(dtype, shape, kind), **given)
        crc = crc32c(zfpy.decompress_numpy(stream).tobytes())
        lines.append(f"{dtype} {'x'.join(map(str, shape))} {kind} {mode} {number} {len(stream)} {crc:08x}\n")
        streams += stream
    with open(os.path.join(folder, "streams.bin"), "wb") as f:
        f.write(streams)
    with open(os.path.join(folder, "streams.txt"), "w") as f:
        f.writelines(lines)
    print(f"{len(lines)} streams, {len(streams)} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
