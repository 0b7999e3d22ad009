"""Numbers across the wall: how values travel between the grader and the sandbox. No pickle either way.

They travel over two pipes, which carry bytes and nothing else: over a socket a submission could send a descriptor
that blocks whoever closes it. A message is 8 bytes of lengths, JSON, and the raw bytes of its arrays. A value is
null, a bool, a number, a short text, or {"list" | "tuple" | "dict" | "array" | "tensor" | "opaque": ...}. The
grader believes nothing that it reads: sizes, depths, dtypes and shapes are checked before an array is made.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from coursekit.autograder.rules import MAX_DEPTH, MAX_ITEMS, MAX_TEXT

DTYPES = {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"}
MAX_BYTES = 8 << 20


class ProtocolError(Exception):
    """What came is no message of ours."""


class Opaque:
    """Stands for a value that is neither a number nor made of numbers."""

    def __init__(self, description: str) -> None:
        self.description = description

    def __repr__(self) -> str:
        return self.description


class Channel:
    """A pipe to read from and a pipe to write to, as descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self._closing = threading.Lock()

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends of one channel. The first never blocks: it is the grader's."""
        (source, their_sink), (their_source, sink) = os.pipe(), os.pipe()
        os.set_blocking(source, False)
        os.set_blocking(sink, False)
        return cls(source, sink), cls(their_source, their_sink)

    def close(self) -> None:
        """Close both ends; again, if need be, and from several threads at once."""
        with self._closing:
            ends = {self.source, self.sink} - {-1}
            self.source = self.sink = -1
        for descriptor in ends:
            os.close(descriptor)

    def write(self, data: bytes, deadline: float = math.inf) -> None:
        """Write all of it. Raises TimeoutError, OSError: nobody listens."""
        left = memoryview(data)
        while left:
            _await(self.sink, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(self.sink, left):]

    def read(self, count: int, deadline: float = math.inf) -> bytes:
        """So many bytes. Raises TimeoutError, or EOFError when the other side is gone."""
        parts, missing = [], count
        while missing:
            _await(self.source, select.POLLIN, deadline)  # even where more is there: a flood has no end
            with contextlib.suppress(BlockingIOError):
                part = os.read(self.source, min(missing, 1 << 20))
                if not part:
                    raise EOFError
                parts.append(part)
                missing -= len(part)
        return b"".join(parts)


def _await(descriptor: int, event: int, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left > 0:
        waiting = select.poll()
        waiting.register(descriptor, event)
        if waiting.poll(None if left == math.inf else 1000 * left):
            return
    raise TimeoutError


def send(channel: Channel, message: Mapping[str, Any], seconds: float = math.inf) -> None:
    """Send a dictionary. Raises TimeoutError, OSError: nobody listens; whatever its values raise when they are
    read."""
    writer = _Writer()
    text = json.dumps({key: writer.value(value, 0) for key, value in message.items()}).encode("ascii")
    data = struct.pack(">II", len(text), writer.bytes) + text + b"".join(writer.arrays)
    channel.write(data, time.monotonic() + seconds)


def receive(channel: Channel, seconds: float = math.inf, tensors: bool = False) -> dict[str, Any]:
    """The next message, a dictionary. tensors: torch tensors arrive as such, else as arrays.
    Raises TimeoutError, ProtocolError, or EOFError when the other side is gone."""
    deadline = time.monotonic() + seconds
    sizes = struct.unpack(">II", channel.read(8, deadline))
    if sum(sizes) > MAX_BYTES:
        raise ProtocolError(f"a message of {sum(sizes)} bytes")
    text, data = channel.read(sizes[0], deadline), channel.read(sizes[1], deadline)
    try:
        reader = _Reader(data, tensors)
        return {key: reader.value(value, 0) for key, value in json.loads(text.decode("ascii")).items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError, MemoryError) as error:
        raise ProtocolError(f"{type(error).__name__}") from None


class _Writer:
    """Turns values into JSON and the bytes of arrays; counts, since a list may hold itself."""

    def __init__(self) -> None:
        self.arrays: list[bytes] = []
        self.bytes, self.items = 0, 0

    def value(self, value: Any, depth: int) -> Any:
        self.items += 1
        if self.items > MAX_ITEMS:
            raise ValueError(f"more than {MAX_ITEMS} items")
        if value is None or isinstance(value, bool):
            return value
        if type(value) is float or type(value) is int and abs(value) < 1 << 63:
            return value
        if isinstance(value, str):
            return str(value)
        if depth > MAX_DEPTH or isinstance(value, (Opaque, int, complex)):
            return {"opaque": _described(value)}
        if isinstance(value, (list, tuple)) and len(value) < MAX_ITEMS:
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [self.value(v, depth + 1) for v in value]}
        if type(value) is dict:
            return {"dict": [[str(k), self.value(v, depth + 1)] for k, v in value.items()]}
        return self.array(value)

    def array(self, value: Any) -> dict[str, Any]:
        kind = "tensor" if hasattr(value, "detach") else "array"
        array = np.asarray(value.detach().cpu().numpy() if kind == "tensor" else value)
        if array.dtype.kind not in "biuf":
            return {"opaque": _described(value)}
        dtype = array.dtype.newbyteorder("<")
        array = array.astype(dtype if dtype.str in DTYPES else "<f8")
        if self.bytes + array.nbytes > MAX_BYTES // 2:
            raise ValueError("more numbers than any answer has")
        self.arrays.append(array.tobytes())
        self.bytes += array.nbytes
        return {kind: [array.dtype.str, list(array.shape), self.bytes - array.nbytes]}


def _described(value: Any) -> str:
    if isinstance(value, Opaque):
        return value.description
    try:
        return f"{type(value).__name__} {value!r}"[:MAX_TEXT]
    except Exception as error:  # a learner's __repr__ may be broken
        return f"{type(value).__name__} (its repr raises {type(error).__name__})"


def _writable(text: str) -> str:
    """text without the lone surrogates of JSON's escapes, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


class _Reader:
    """Builds values from JSON and the bytes of arrays; counts what it builds."""

    def __init__(self, data: bytes, tensors: bool) -> None:
        self.data, self.tensors, self.items, self.bytes = data, tensors, 0, 0

    def value(self, plain: Any, depth: int) -> Any:
        self.items += 1
        if self.items > MAX_ITEMS or depth > MAX_DEPTH + 1:
            raise ValueError("too much of it")
        if plain is None or isinstance(plain, (bool, int, float)):
            return plain
        if isinstance(plain, str):
            return _writable(plain)
        (kind, inner), = plain.items()
        if kind in ("list", "tuple"):
            return (list if kind == "list" else tuple)(self.value(v, depth + 1) for v in inner)
        if kind == "dict":
            return {_writable(str(k)): self.value(v, depth + 1) for k, v in inner}
        if kind == "opaque":
            return Opaque(_writable(str(inner)[:MAX_TEXT]))
        array = self.array(*inner)
        if kind == "tensor" and self.tensors:
            import torch
            return torch.as_tensor(array)
        return array[()] if array.ndim == 0 else array

    def array(self, dtype: str, shape: list[int], start: int) -> np.ndarray:
        if dtype not in DTYPES or len(shape) > MAX_DEPTH or not all(type(n) is int and 0 <= n for n in shape):
            raise ValueError("no array of ours")
        count = math.prod(shape)
        self.bytes += count * np.dtype(dtype).itemsize
        if self.bytes > len(self.data):  # the same bytes may not be asked for twice
            raise ValueError("more numbers than came")
        if not count:
            return np.zeros(shape, dtype)
        return np.frombuffer(self.data, dtype, count, start).reshape(shape).copy()
