"""Strip shared libraries of what only linkers and debuggers read.

Not with binutils: its output differs between versions, and a package's bytes are part of a
release's identity; its `strip` also moves what auditwheel has appended, which breaks libraries in
`*.libs/`. Here nothing moves: the loader reads segments alone, and sections that lie past the last
of them (symbols, debug information, the table of sections) are cut off.
"""

import struct
from typing import Final

_ELF64_LITTLE_ENDIAN: Final = b"\x7fELF\x02\x01"
_HEADER_BYTES: Final = 64
_PROGRAM_HEADER_BYTES: Final = 56

# Offsets of the file header's fields (System V ABI, "ELF-64 Object File Format").
_PROGRAM_HEADERS: Final = 32
_SECTION_HEADERS: Final = 40
_PROGRAM_HEADER_COUNT: Final = 56
_SECTION_COUNT: Final = 60
_NO_SECTIONS: Final = (0, 0)


def stripped(content: bytes) -> bytes:
    """Return a shared library without its sections; anything else as it is."""
    if not content.startswith(_ELF64_LITTLE_ENDIAN) or len(content) < _HEADER_BYTES:
        return content
    [start] = struct.unpack_from("<Q", content, _PROGRAM_HEADERS)
    [count] = struct.unpack_from("<H", content, _PROGRAM_HEADER_COUNT)
    end = max(_HEADER_BYTES, start + count * _PROGRAM_HEADER_BYTES)
    for place in range(start, start + count * _PROGRAM_HEADER_BYTES, _PROGRAM_HEADER_BYTES):
        offset, size = struct.unpack_from("<8xQ16xQ", content, place)
        end = max(end, offset + size)
    kept = bytearray(content[:end])
    struct.pack_into("<Q", kept, _SECTION_HEADERS, 0)
    struct.pack_into("<HH", kept, _SECTION_COUNT, *_NO_SECTIONS)
    return bytes(kept)
