"""Log of an environment: the function's output and the platform's lines, event by event.

A managed runtime frames each record of its logger (awslambdaric: FramedTelemetryLogSink), so that a
record of several lines stays one event with its own time. Frames and prints come through one pipe
here: two would lose the order in which they were written.
"""

import codecs
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

# Type, length of the message, microseconds since the epoch; 0xa55a0003 and its relatives by level.
_HEADER: Final = struct.Struct(">4sIQ")
_FRAME: Final = re.compile(rb"\xa5\x5a\x00[\x02\x03\n\x0b\x0e\x0f\x12\x13\x16\x17\x1a\x1b]")
_BEGUN: Final = re.compile(rb"\xa5(\x5a\x00?)?\Z")
_BEGUN_BYTES: Final = 3

# LocalStack holds an invocation's log in memory, as often as five times; a function that prints
# without end must not take the emulator with it.
MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """Some of a log: one record, or a piece of text of which each line is an event."""

    epoch_ms: int
    text: str
    is_record: bool = False


class Log(str):
    """An invocation's whole log, which still knows its events on its way through LocalStack."""

    __slots__ = ("segments",)

    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, segments: list[Segment]) -> "Log":
        """Return the log that some segments make up."""
        log = cls("".join(segment.text for segment in segments))
        log.segments = tuple(segments)
        return log

    def events(self) -> Iterator[tuple[int, str]]:
        """Yield milliseconds and message of each event; CloudWatch Logs takes no empty ones."""
        for segment in self.segments:
            if segment.is_record:
                yield segment.epoch_ms, segment.text
                continue
            for line in segment.text.split("\n"):
                if line:
                    yield segment.epoch_ms, line + "\n"


class LogBuffer:
    """Collects what is written until it is taken. `now` returns seconds since the epoch."""

    def __init__(self, now: Callable[[], float], *, limit_bytes: int = MAX_BYTES) -> None:
        self._now = now
        self._limit_bytes = limit_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._latest_ms = self._now_ms()
        self._begin()

    def _begin(self) -> None:
        self._segments: list[Segment] = []
        self._output: list[str] = []
        self._line: list[str] = []
        self._unread = b""
        self._kept_bytes = 0
        self._dropped_bytes = 0

    def write(self, text: str) -> None:
        """Add lines of the platform's."""
        if text:
            self._end_line()
            self._add(text, self._now_ms())

    def feed(self, data: bytes) -> None:
        """Add output of the function: text, with framed records in between."""
        data, self._unread = self._unread + data, b""
        begin = 0
        while (frame := _FRAME.search(data, begin)) is not None:
            self._take_text(data[begin : frame.start()])
            begin = self._take_frame(data, frame.start())
            if begin < 0:
                self._unread = data[frame.start() :]
                return
        begun = _BEGUN.search(data, max(begin, len(data) - _BEGUN_BYTES))
        end = begun.start() if begun else len(data)
        self._take_text(data[begin:end])
        self._unread = data[end:]

    def take(self) -> tuple[Log, str]:
        """Return the whole log and the function's own part of it, and start again."""
        self.end_output()
        log, output = Log.of(self._segments), "".join(self._output)
        self._begin()
        return log, output

    def recent(self) -> str:
        """Return what has been written since the last `take`."""
        return "".join([*(segment.text for segment in self._segments), *self._line])

    def end_output(self) -> None:
        """Finish what the function wrote so far: a line without its end, half a character."""
        unread, self._unread = self._unread, b""
        self._take_text(unread)
        self._append(self._decoder.decode(b"", final=True))
        self._end_line()
        if self._dropped_bytes:
            dropped, self._dropped_bytes = self._dropped_bytes, 0
            self._add(f"{dropped} bytes of output left out\n", self._now_ms())

    def _take_frame(self, data: bytes, begin: int) -> int:
        """Take the frame that begins there and return where it ends, -1 if not all of it is here.

        What only looks like one is text.
        """
        message = begin + _HEADER.size
        if len(data) < message:
            return -1
        length: int
        _, length, epoch_us = _HEADER.unpack_from(data, begin)
        if length > self._limit_bytes:
            self._take_text(data[begin:message])
            return message
        if len(data) < message + length:
            return -1
        self._take_record(data[message : message + length], epoch_us // 1000)
        return message + length

    def _take_record(self, message: bytes, epoch_ms: int) -> None:
        if not self._is_room_for(message):
            return
        text = message.decode("utf-8", "replace")
        whole = text if text.endswith("\n") else text + "\n"
        self._end_line()
        self._add(whole, min(epoch_ms, self._now_ms()), is_record=True)
        self._output.append(whole)

    def _take_text(self, data: bytes) -> None:
        if data and self._is_room_for(data):
            self._append(self._decoder.decode(data))

    def _append(self, text: str) -> None:
        self._output.append(text)
        lines, newline, rest = text.rpartition("\n")
        if newline:
            self._add("".join([*self._line, lines, newline]), self._now_ms())
            self._line = []
        if rest:
            self._line.append(rest)

    def _is_room_for(self, data: bytes) -> bool:
        if self._kept_bytes + len(data) > self._limit_bytes:
            self._dropped_bytes += len(data)
            return False
        self._kept_bytes += len(data)
        return True

    def _end_line(self) -> None:
        if self._line:
            self._add("".join(self._line) + "\n", self._now_ms())
            self._line = []

    def _add(self, text: str, epoch_ms: int, *, is_record: bool = False) -> None:
        # PutLogEvents refuses a request whose events are not in the order of their times. This is
        # the order in which they came: a record from before the last report is read after it.
        self._latest_ms = max(self._latest_ms, epoch_ms)
        self._segments.append(Segment(self._latest_ms, text, is_record))

    def _now_ms(self) -> int:
        return int(self._now() * 1000)
