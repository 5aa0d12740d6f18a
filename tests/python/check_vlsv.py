#!/usr/bin/env python3
"""Opens a VLSV file with a reader that is not ours, and compares its arrays with .npy files.

    check_vlsv.py FILE.vlsv NAME=ARRAY.npy ...

NAME is that of a variable (`proton/vg_rho`), or of any array with its tag as in `fieldpress info`
(`BLOCKVARIABLE/proton`, `MESH_NODE_CRDS_X/proton`, `VARIABLE/v@mesh`). Values must agree exactly, in the order of the
file; NaN agrees with NaN.

The readers are analysator, the reference (not on PyPI: `pip install git+https://github.com/fmihpc/analysator`; needs
numpy, scipy, matplotlib, packaging, scikit-image), and pyvlasiator (`pip install pyvlasiator`; needs numpy). Every one
that can be imported is asked.

Exit status: 0 all agree, 1 something differs or cannot be read, 2 wrong usage, 77 no reader can be imported.
"""

import os
import sys


def readers():
    """The readers that can be imported: (name, function that opens a file)."""
    os.environ.setdefault("PTNONINTERACTIVE", "1")
    os.environ.setdefault("PTNOLATEX", "1")
    found = []
    try:
        import analysator

        found.append(("analysator", analysator.vlsvfile.VlsvReader))
    except ImportError as e:
        print(f"analysator: {e}")
    try:
        from pyvlasiator.vlsv import Vlsv

        found.append(("pyvlasiator", Vlsv))
    except ImportError as e:
        print(f"pyvlasiator: {e}")
    return found


def read(file, name):
    """The array `name`. Both readers share this call; names do not matter to them where elements have none."""
    tag, slash, rest = name.partition("/")
    if not slash or not tag.isupper():
        tag, rest = "VARIABLE", name
    rest, _, mesh = rest.partition("@")
    if tag.startswith("MESH_"):
        return file.read(tag=tag, mesh=rest)
    return file.read(tag=tag, name=rest, mesh=mesh)


def difference(found, expected):
    """What differs between two arrays, or None. Readers drop axes of extent 1 and join those of velocity blocks."""
    import numpy as np

    found, expected = np.asarray(found), np.asarray(expected)
    if found.size != expected.size:
        return f"expected {expected.shape} values, found {found.shape}"
    if found.dtype != expected.dtype.newbyteorder("="):
        return f"expected type {expected.dtype}, found {found.dtype}"
    found, expected = found.reshape(-1), expected.reshape(-1)
    agree = (found == expected) | ((found != found) & (expected != expected))
    if agree.all():
        return None
    at = int(np.argmin(agree))
    return f"{(~agree).sum()} of {agree.size} values differ, first {at}: expected {expected[at]!r}, found {found[at]!r}"


def main(arguments):
    pairs = [a.partition("=") for a in arguments[1:]]
    if not pairs or not all(name and path for name, _, path in pairs):
        print(__doc__.strip())
        return 2
    available = readers()
    if not available:
        print("skipped: neither analysator nor pyvlasiator can be imported")
        return 77

    import numpy as np

    failed = False
    for reader, open_file in available:
        try:
            file = open_file(arguments[0])
        except Exception as e:  # whatever a reader makes of a bad file is a failure of the file
            print(f"{reader}: {arguments[0]}: {e!r}")
            failed = True
            continue
        for name, _, path in pairs:
            try:
                problem = difference(read(file, name), np.load(path))
            except Exception as e:
                problem = repr(e)
            print(f"{reader}: {name}: {problem or 'ok'}")
            failed |= problem is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
