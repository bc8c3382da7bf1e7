"""Archives that have the same bytes whenever and wherever they are made: one time, one owner,
modes by what a file is, and the order in which files are given."""

import gzip
import io
import tarfile
import zipfile

# The first that a zip can hold.
TIME = (1980, 1, 1, 0, 0, 0)
SECONDS = 315532800


def zipped(files):
    """A zip of executables, given as name and bytes, packed as tightly as zlib does."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in files:
            entry = zipfile.ZipInfo(name, TIME)
            # Of Unix, whatever this machine is.
            entry.create_system = 3
            entry.external_attr = 0o100755 << 16
            file.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return archive.getvalue()


def tarred(files):
    """A tar.gz of files, given as name, bytes and whether it is an executable."""
    archive = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=archive, mode="wb", compresslevel=9, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as file,
    ):
        for name, content, is_executable in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = SECONDS
            entry.mode = 0o755 if is_executable else 0o644
            file.addfile(entry, io.BytesIO(content))
    return archive.getvalue()
