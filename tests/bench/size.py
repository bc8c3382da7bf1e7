"""Prints how large the function is as a zip, and fails above its promise.

usage: size.py FUNCTION
"""

import os
import sys
import tempfile
import zipfile

MOST = 3_000_000

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "function.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(sys.argv[1], "bootstrap")
    size = os.path.getsize(path)

print(f"binary {os.path.getsize(sys.argv[1]):,} bytes, zip {size:,} bytes of at most {MOST:,}")
sys.exit(size > MOST)
