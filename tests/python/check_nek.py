#!/usr/bin/env python3
"""Opens a Nek5000 field file with pymech and compares what it finds with decoded arrays.

    check_nek.py FIELD.f00001 name=array.npy ...

The names are those of the arrays of a field file: element_map, x, y, z, ux, uy, uz, p, t, s01, s02, ...; the arrays
have the shape [nel, lz, ly, lx], or [nel, ly, lx] in two dimensions, in the order of the file. Values must be equal,
NaN equal to NaN. Exit status: 0 all equal, 1 something differs or cannot be read, 77 skipped: no pymech, or a file that
pymech cannot read (2.0.1 reads no single parts of multi-file sets).
"""

import sys

SKIPPED = 77
VECTORS = {"x": ("pos", 0), "y": ("pos", 1), "z": ("pos", 2), "ux": ("vel", 0), "uy": ("vel", 1), "uz": ("vel", 2)}


def place(name):
    """The attribute of a pymech element that holds the array, and the component of it."""
    if name in VECTORS:
        return VECTORS[name]
    if name in ("p", "t"):
        return {"p": "pres", "t": "temp"}[name], 0
    if name[:1] == "s" and name[1:].isdigit() and int(name[1:]) > 0:
        return "scal", int(name[1:]) - 1
    raise ValueError(f"expected the name of a field, found {name!r}")


def differs(np, found, expected):
    """What is wrong with `found`, or None."""
    if found.shape != expected.shape:
        return f"expected shape {expected.shape}, found {found.shape}"
    if np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f"):
        return None
    if expected.dtype.kind == "f":
        return f"expected equal values, found a largest difference of {np.nanmax(np.abs(found - expected))}"
    return f"expected equal values, found {np.count_nonzero(found != expected)} that differ"


def main(arguments):
    if not arguments or any("=" not in a for a in arguments[1:]):
        print(__doc__, file=sys.stderr)
        return 1
    try:
        import numpy as np
        from pymech.neksuite import readnek
        from pymech.neksuite.field import read_header
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIPPED
    path = arguments[0]
    with open(path, "rb") as file:
        header = read_header(file)
    # pymech calls the elements of the file nb_elems and those of the whole set nb_elems_file.
    if header.nb_elems != header.nb_elems_file:
        print(f"skipped: {path} is one part of a set, which pymech does not read")
        return SKIPPED
    field = readnek(path)
    # pymech puts elements at their global numbers, unless one of these is 0.
    order = range(len(field.elmap)) if 0 in field.elmap else field.elmap - 1
    wrong = 0
    for argument in arguments[1:]:
        name, array = argument.split("=", 1)
        expected = np.load(array)
        if name == "element_map":
            found = field.elmap
        else:
            attribute, component = place(name)
            found = np.stack([getattr(field.elem[e], attribute)[component] for e in order])
            if expected.ndim == 3 and found.shape[1] == 1:
                found = found[:, 0]
        problem = differs(np, found, expected)
        print(f"{name}: {problem or 'equal'}")
        wrong += problem is not None
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
