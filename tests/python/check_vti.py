#!/usr/bin/env python3
"""Check with VTK that an image file written by fieldpress opens and holds given arrays, bit for bit.

    check_vti.py FILE.vti PointData/NAME=EXPECTED.npy CellData/NAME=EXPECTED.npy field:NAME=TEXT ...

Arrays have the shape [nz, ny, nx] or [nz, ny, nx, components]; field:NAME is the first value of a field array, as text.
Exit 0 when all agree, 1 when not, 77 without VTK or NumPy.
"""

import sys

try:
    import numpy as np
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkStringOutputWindow, vtkOutputWindow
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader
except ImportError:
    print("skipped: vtk or numpy is not installed")
    sys.exit(77)


def main(file, *expected):
    messages = vtkStringOutputWindow()
    vtkOutputWindow.SetInstance(messages)
    reader = vtkXMLImageDataReader()
    reader.SetFileName(file)
    reader.Update()
    image = reader.GetOutput()
    points = image.GetDimensions()[::-1]
    shapes = {"PointData": points, "CellData": tuple(max(n - 1, 1) for n in points)}
    good = True
    if messages.GetOutput():
        print(f"{file}: expected no messages of VTK, found {messages.GetOutput()}")
        good = False
    for item in expected:
        name, want = item.rsplit("=", 1)
        if name.startswith("field:"):
            values = image.GetFieldData().GetAbstractArray(name[6:])
            found = None if values is None else str(values.GetVariantValue(0).ToString())
            agree = found == want
        else:
            section, name = name.split("/", 1)
            values = getattr(image, f"Get{section}")().GetArray(name)
            want = np.load(want, allow_pickle=False)
            found = None if values is None else vtk_to_numpy(values)
            if found is not None:
                found = found.reshape(shapes[section] + found.shape[1:])
            agree = found is not None and found.dtype == want.dtype and found.shape == want.shape
            agree = agree and found.tobytes() == want.tobytes()
        if not agree:
            print(f"{file}: {item}: expected {want!r}, found {found!r}")
            good = False
    return good


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(0 if main(*sys.argv[1:]) else 1)
