"""Where a run writes to: the process's own output, or what it was given instead."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Any

from django.core.management.base import OutputWrapper


class _Plain:
    """What one of Django's output wrappers writes to: it would end each piece with a line end."""

    def __init__(self, wrapper: OutputWrapper) -> None:
        self._wrapper = wrapper

    def write(self, text: str) -> None:
        self._wrapper.write(text, str, "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapper, name)


def plain(stream: Any) -> Any:
    """Return a stream that writes what it is given, and nothing of its own.

    :param stream: what ``call_command`` was given, or ``None``.
    """
    return _Plain(stream) if isinstance(stream, OutputWrapper) else stream


class Output:
    """One of the two streams of a run.

    What it cannot write ends no deploy: a character that its encoding lacks is escaped, and when
    nobody reads on, as behind ``| head``, the rest goes nowhere.

    :param name: ``stdout`` or ``stderr``.
    :param given: what to write to instead of the process's own.
    """

    def __init__(self, name: str, given: Any = None) -> None:
        self._name = name
        self._given = given
        self._decoder: codecs.IncrementalDecoder | None = None
        self._in_a_line = False
        self.given_up = False
        """Whether nobody reads what is written."""

    @property
    def stream(self) -> Any:
        """What is written to; ``None`` if the process has no such output."""
        return getattr(sys, self._name) if self._given is None else self._given

    @property
    def own_descriptor(self) -> int | None:
        """The file descriptor of the process's own output, if that is what is written to."""
        try:
            return None if self._given is not None else getattr(sys, self._name).fileno()
        except (AttributeError, OSError, ValueError):
            return None  # none, replaced by a test, or closed

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it at a terminal."""
        descriptor = self.own_descriptor
        return descriptor is not None and os.isatty(descriptor)

    def write(self, text: str) -> None:
        """Write a text, at once.

        :param text: what to write, with its line ends.
        """
        if not text.isascii():
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._put(text)

    def write_bytes(self, data: bytes) -> None:
        """Write what a process has written, as it has written it.

        :param data: bytes of any encoding, or of none.
        """
        if not data:
            return
        self._in_a_line = not data.endswith(b"\n")
        stream = self.stream
        if stream is None:
            return
        try:
            closed = getattr(stream, "closed", False)
            binary = None if closed else getattr(stream, "buffer", None)
            if binary is None:
                if self._decoder is None:
                    self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
                self._put(self._decoder.decode(data))
                return
            stream.flush()
            binary.write(data)
            binary.flush()
        except (OSError, ValueError):
            self._give_up()

    def finish(self) -> None:
        """Write what was half a character when the process that wrote it has ended."""
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            self._put(decoder.decode(b"", final=True))

    def end_line(self) -> None:
        """End the line that a process has left unended, so that ours starts on one of its own."""
        if self._in_a_line:
            self._in_a_line = False
            self.write("\n")

    def flush(self) -> None:
        """Put what was written so far before what others write."""
        self._put("")

    def _put(self, text: str) -> None:
        stream = self.stream
        if stream is None:
            return
        try:
            if text:
                stream.write(text)
            if hasattr(stream, "flush"):
                stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Let what is still to be written go nowhere, and what commands write there, too.

        Else Python would try once more when the process ends, and change its exit status.
        """
        self.given_up = True
        descriptor = self.own_descriptor
        if descriptor is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
