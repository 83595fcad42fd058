"""JSON and arrays as bytes: the same value gives the same bytes.

Arrays are NumPy's file format 1.0 (numpy.lib.format), which can be mapped into memory as it is.
"""

import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError

Array = npt.NDArray[Any]


def dump_json(value: object) -> bytes:
    """Return canonical JSON: sorted keys, UTF-8, a newline at the end. NaN raises ValueError."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode() + b"\n"


def load_json(name: str, body: bytes) -> Any:  # noqa: ANN401 - JSON has no type
    """Return a JSON file's value. Raises ArtifactError if it is not JSON."""
    try:
        return json.loads(body)
    except ValueError as exc:
        raise ArtifactError(f"{name} is no JSON ({exc}): fetch it again, or build it anew") from exc


def dump_npy(array: Array) -> bytes:
    """Return an array as NumPy's file format 1.0, C order, with one copy of its data."""
    data = np.ascontiguousarray(array)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(data))
    # An empty array has no bytes to view.
    body = memoryview(data.reshape(-1)).cast("B") if data.size else b""
    return b"".join((head.getvalue(), body))


def load_npy(name: str, body: bytes) -> Array:
    """Return a view, not writable, of a `.npy` file's bytes. Raises ArtifactError."""
    try:
        return _array_in(body)
    except ValueError as exc:
        raise ArtifactError(
            f"{name} is no array file ({exc}): fetch it again, or build it anew"
        ) from exc


def _array_in(body: bytes) -> Array:
    stream = io.BytesIO(body)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("not format 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if fortran_order or dtype.hasobject:
        raise ValueError("not a plain array in C order")
    return np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape)
