"""Zip files that learners hand in: what is in them, within limits that hold before anything is unpacked."""

from __future__ import annotations

import os
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from coursekit.autograder.reader import MAX_BYTES, SAFELY, UnreadableError

MEMBERS, ARCHIVE, UNPACKED, RATIO = 1000, 100 << 20, 200 << 20, 200
ENTRY = 600  # bytes that a member may take of the directory at the end, on average


def members(path: Path) -> list[zipfile.ZipInfo]:
    """The files of a zip, none of them read. Raises UnreadableError: no zip, or more than the limits allow."""
    with _opened(path) as archive:
        found = [info for info in archive.infolist() if not info.is_dir()]
    unpacked = sum(info.file_size for info in found)
    packed = sum(info.compress_size for info in found)
    if len(found) > MEMBERS:
        raise UnreadableError(f"a zip of more than {MEMBERS} files")
    if unpacked > UNPACKED or unpacked > RATIO * max(packed, MAX_BYTES // RATIO):
        raise UnreadableError(f"a zip that would unpack to {unpacked / 1e6:.0f} MB")
    return found


def read_member(path: Path, index: int) -> bytes:
    """The bytes of a file of a zip, by its place among `members`. Raises UnreadableError."""
    with _opened(path) as archive:
        info = [info for info in archive.infolist() if not info.is_dir()][index]
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnreadableError("it is a link")
        if info.flag_bits & 1:
            raise UnreadableError("it is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableError("it is compressed in a way that is not read here; hand in the notebook itself")
        if info.file_size > MAX_BYTES:
            raise UnreadableError(f"{info.file_size / 1e6:.0f} MB are more than the {MAX_BYTES >> 20} MB allowed")
        with archive.open(info) as file:
            return file.read(MAX_BYTES + 1)


def changed(info: zipfile.ZipInfo) -> float:
    """When a file of a zip was changed, in seconds since 1970; 0 where its date is none."""
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError, TypeError):
        return 0.0


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with open(os.open(path, os.O_RDONLY | SAFELY), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableError("it is no regular file")
            if found.st_size > ARCHIVE:
                raise UnreadableError(f"a zip of {found.st_size / 1e6:.0f} MB, more than {ARCHIVE >> 20} MB")
            _check_directory(file, found.st_size)
            with zipfile.ZipFile(file) as archive:
                yield archive
    except UnreadableError:
        raise
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, EOFError, RuntimeError,
            OverflowError, struct.error) as error:
        reason = "it is a link" if os.path.islink(path) else f"no zip that can be read ({str(error)[:80]})"
        raise UnreadableError(reason) from None


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a directory of members that is too large to be held in memory, before zipfile reads it."""
    file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        raise UnreadableError("no zip that can be read (its end is missing)")
    directory = struct.unpack("<I", tail[at + 12:at + 16])[0]
    if directory > MEMBERS * ENTRY or tail[max(0, at - 20):at].startswith(b"PK\6\7"):
        raise UnreadableError(f"a zip of more than {MEMBERS} files, or one made for such")
    file.seek(0)
