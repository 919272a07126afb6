"""Views of an open file: with other bytes at some offsets, and of a section alone."""

import io
from collections.abc import Mapping


class Repaired(io.RawIOBase):
    """A read-only view of an open file with other bytes at some offsets, such as sizes in its headers."""

    def __init__(self, file: io.RawIOBase, replaced: Mapping[int, bytes]) -> None:
        super().__init__()
        self._file = file
        self._replaced = replaced

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset."""
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed has no name for it
        """Fill a buffer and return the number of bytes."""
        start = self._file.tell()
        view = memoryview(buffer).cast("B")
        length = self._file.readinto(view) or 0
        for at, content in self._replaced.items():
            first, last = max(at, start), min(at + len(content), start + length)
            if first < last:
                view[first - start : last - start] = content[first - at : last - at]
        return length


class Section(io.RawIOBase):
    """A read-only view of a range of an open file."""

    def __init__(self, file: io.RawIOBase, start: int, stop: int) -> None:
        super().__init__()
        self._file = file
        self._start, self._length = start, stop - start
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset within the range and return it."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence])
        return self._at

    def tell(self) -> int:
        """Return the offset within the range."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as above
        """Fill a buffer and return the number of bytes."""
        view = memoryview(buffer).cast("B")[: max(0, self._length - self._at)]
        self._file.seek(self._start + self._at)
        length = self._file.readinto(view) or 0
        self._at += length
        return length
