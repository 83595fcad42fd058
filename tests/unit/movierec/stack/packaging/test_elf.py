"""What is cut off a shared library, on files small enough to lay out by hand."""

import struct

import pytest

from movierec.stack.packaging import elf


def library(*segments, after=b"", section_count=3):
    """Return an ELF file with program headers of (offset, size), and bytes after the segments."""
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 64, 5_000, 0, 64, 56, len(segments), 64,
        section_count, 2,
    )  # fmt: skip
    programs = [
        struct.pack("<IIQQQQQQ", 1, 5, offset, 0, 0, size, size, 4096) for offset, size in segments
    ]
    content = header + b"".join(programs)
    end = max((offset + size for offset, size in segments), default=0)
    return content + bytes(i % 251 for i in range(max(0, end - len(content)))) + after


def test_what_lies_past_the_last_segment_is_cut_off_and_nothing_moves():
    whole = library((0, 900), (1000, 500), after=b"symbols")

    found = elf.stripped(whole)

    assert len(found) == 1500
    assert found[64:] == whole[64:1500]
    assert found[:40] == whole[:40]


def test_no_table_of_sections_is_named_any_more():
    found = elf.stripped(library((0, 900), after=b"symbols"))

    [at] = struct.unpack_from("<Q", found, 40)
    *_, section_size, count, names = struct.unpack_from("<HHHHHH", found, 52)
    assert (at, section_size, count, names) == (0, 64, 0, 0)


def test_a_segment_that_was_appended_later_is_kept():
    """As patchelf does: the first in the table may be the last in the file."""
    whole = library((2000, 300), (0, 900), after=b"symbols")

    assert len(elf.stripped(whole)) == 2300


def test_what_is_stripped_stays_as_it_is():
    once = elf.stripped(library((0, 900), after=b"symbols"))

    assert elf.stripped(once) == once


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(200)]
)
def test_other_files_are_left_alone(content):
    assert elf.stripped(content) == content
