"""Stream a zip, member by member, without trusting it and without holding its directory.

The standard library's reader keeps an object for each member (hundreds of megabytes for the
registry's own archive) and lets members overlap. This one reads the central directory as it goes,
refuses overlaps before it unpacks anything, and never uses a member's name as a path.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from llm4top.errors import (
    LimitError,
    MalformedRecordError,
    RegistryError,
    UnknownFormatError,
    UnsafeRecordError,
)
from llm4top.registry.limits import Limits
from llm4top.text import thousands

# The layout of a zip (PKWARE's APPNOTE.TXT, section 4.3), from its end to its beginning:
#
#   [local header, packed bytes] for each member ... [central directory: an entry for each member]
#   [zip64 end, zip64 locator] only in large archives   [end of central directory, comment]
#
# A reader finds the end, which gives size and offset of the central directory, whose entries give
# the offset of each local header. All numbers are little-endian.
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR = struct.Struct("<4sLQL")
_ENTRY_MARK = 0x02014B50
_ENTRY = struct.Struct("<L6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_WHOLE = 0xFFFFFFFF
"""In place of a size or offset that needs 64 bits, which stands in the entry's extra field."""
_STORED, _DEFLATED = 0, 8
_SMALL = 1_000_000  # below this a member's ratio is harmless
_END_MARK = b"PK\x05\x06"
_SPLIT_MARK = b"PK\x07\x08"
_AGAIN = "Download the archive again."
_UNPACK = "If you trust the archive, unpack it yourself and give the folder, "


def ends_as_zip(file: BinaryIO) -> bool:
    """Whether a file that does not begin as a zip may hold one: what unpacks itself does."""
    length = file.seek(0, 2)
    file.seek(max(0, length - _END.size - 0xFFFF))
    return _END_MARK in file.read()


class Member(NamedTuple):
    """One entry of the central directory."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def is_folder(self) -> bool:
        """Whether the entry is a folder's; Windows programs may end its name in a backslash."""
        return self.name.endswith(("/", "\\")) and self.size == 0


class Archive:
    """An open zip. ``members`` yields its ``count`` entries, ``read`` and ``open`` unpack one."""

    def __init__(self, file: BinaryIO, name: str, limits: Limits):
        self._descriptor = file.fileno()
        self._name = name
        self._limits = limits
        self._length = file.seek(0, 2)
        self._shift = 0
        """How many bytes stand before the archive that its offsets do not count."""
        self.count, self._directory_size, self._directory = self._find_directory()
        if self.count > limits.zip_members:
            raise self._over("zip_members", f"the archive has {thousands(self.count)} members")
        self._check_members()

    def members(self) -> Iterator[Member]:
        """The entries in the order of the central directory."""
        for fields, name, extra in self._entries():
            yield self._member(fields, name, extra)

    def _entries(self) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
        """The entries' numbers, names and extra fields as they stand.

        The directory is read a megabyte at a time; an entry is at most ``_ENTRY.size`` bytes and
        three fields of up to 0xFFFF, so a buffer that holds that much holds the next entry whole.
        """
        position = self._directory
        end = position + self._directory_size
        buffer, start = b"", 0
        for _ in range(self.count):
            if position < end and len(buffer) - start < _ENTRY.size + 3 * 0xFFFF:
                buffer = buffer[start:] + self._at(position, min(1 << 20, end - position))
                position = min(end, position + (1 << 20))
                start = 0
            try:
                fields = _ENTRY.unpack_from(buffer, start)
            except struct.error:
                raise self._broken("its list of members is cut off") from None
            if fields[0] != _ENTRY_MARK:
                raise self._broken("its list of members is damaged")
            name_end = start + _ENTRY.size + fields[10]
            extra_end = name_end + fields[11]
            name = buffer[start + _ENTRY.size : name_end]
            yield fields, name, buffer[name_end:extra_end]
            start = extra_end + fields[12]

    def digest(self) -> str:
        """The sha256 of the list of members, which has the size and the checksum of each."""
        digest, end = hashlib.sha256(), self._directory + self._directory_size
        for position in range(self._directory, end, 1 << 20):
            digest.update(self._at(position, min(1 << 20, end - position)))
        return digest.hexdigest()

    def refusal(self, member: Member) -> RegistryError | None:
        """Why a member must not be unpacked, if it must not."""
        name = f"{self._name}!{member.name}"
        if member.flags & 0x2041:  # bits 0, 6 and 13: encrypted, strongly encrypted, masked header
            return UnsafeRecordError(
                "the member is encrypted.", file=name, hint="Unpack the archive yourself first."
            )
        kind = stat.S_IFMT(member.mode)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if kind == stat.S_IFLNK else "a special file"
            return UnsafeRecordError(
                f"the member is {what}.", file=name, hint="Pack the file itself in its place."
            )
        if member.method not in (_STORED, _DEFLATED):
            return UnsafeRecordError(
                f"the member is packed by method {member.method}, not by deflate.",
                file=name,
                hint="Pack the archive again with an ordinary zip program.",
            )
        limits = self._limits
        if member.size > limits.zip_member_bytes:
            what = f"the member unpacks to {thousands(member.size)} bytes"
            return self._over("zip_member_bytes", what, name)
        if member.size > _SMALL and member.size > limits.zip_ratio * member.packed:
            ratio = member.size // max(1, member.packed)
            what = f"the member grows {thousands(ratio)} times when unpacked"
            return self._over("zip_ratio", what, name, "It looks like a zip bomb. ")
        return None

    def read(self, member: Member) -> bytes:
        """A small member's bytes, whole and checked against its checksum."""
        # The local header's name and extra field may be longer than the directory's: one read
        # of a generous guess is enough for almost every member.
        guess = _LOCAL.size + len(member.name) * 2 + 64 + member.packed
        block = self._at(member.offset, guess)
        begin = self._data_begin(member, block)
        data = block[begin : begin + member.packed]
        if len(data) < member.packed:
            data = self._at(member.offset + begin, member.packed)
        if member.method == _DEFLATED:
            unpacker = zlib.decompressobj(-15)
            try:
                # One byte more than declared, so that a longer member is noticed and no more
                # than that is ever unpacked.
                data = unpacker.decompress(data, member.size + 1)
            except zlib.error as error:
                raise self._damaged(member, str(error)) from None
        if len(data) != member.size:
            raise self._damaged(member, "its size is not the one it declares")
        if zlib.crc32(data) != member.crc:
            raise self._damaged(member, "its checksum does not match")
        return data

    def open(self, member: Member) -> MemberStream:
        """A large member as a stream."""
        block = self._at(member.offset, _LOCAL.size)
        begin = self._data_begin(member, block)
        return MemberStream(self, member, member.offset + begin)

    # ---------------------------------------------------------------------------- inside

    def _at(self, position: int, size: int) -> bytes:
        return os.pread(self._descriptor, max(0, size), position)

    def _data_begin(self, member: Member, block: bytes) -> int:
        if len(block) < _LOCAL.size or block[:4] != b"PK\x03\x04":
            raise self._damaged(member, "it is not where the archive says")
        name_length, extra_length = struct.unpack_from("<2H", block, 26)
        return int(_LOCAL.size + name_length + extra_length)

    def _find_directory(self) -> tuple[int, int, int]:
        """Number of members, size and offset of the central directory; sets ``_shift``."""
        place, end = self._find_end()
        disk, count, size, offset = end[1], end[4], end[5], end[6]
        if 0xFFFF in (end[3], count) or _WHOLE in (size, offset):
            found = self._find_directory64(place)
            if found is not None:
                disk, count, size, offset, place = found
        if disk not in (0, 0xFFFF):
            raise self._split()
        # The list ends where its end begins. What stands before the archive, a program that
        # unpacks it for instance, shifts every offset, unless its maker has counted it in.
        self._shift = place - size - offset
        if self._shift < 0:
            raise self._broken("its list of members does not fit")
        return count, size, place - size

    def _find_end(self) -> tuple[int, tuple[Any, ...]]:
        """Where the end of the central directory begins, and its numbers.

        It is the one whose comment ends with the file: neither a mark in a comment nor an archive
        within what was appended is taken for it.
        """
        tail_start = max(0, self._length - _END.size - 0xFFFF)
        tail = self._at(tail_start, _END.size + 0xFFFF)
        at = tail.rfind(_END_MARK)
        last = at
        while at >= 0:
            if len(tail) - at >= _END.size:
                end = _END.unpack_from(tail, at)
                if at + _END.size + end[7] == len(tail):
                    return tail_start + at, end
            at = tail.rfind(_END_MARK, 0, at + len(_END_MARK) - 1)
        if last >= 0 and len(tail) - last >= _END.size:
            more = len(tail) - last - _END.size - _END.unpack_from(tail, last)[7]
            if more > 0:
                raise self._broken(f"{thousands(more)} bytes follow its end")
            raise self._broken("it is cut off within its comment")
        if self._at(0, 4) == _SPLIT_MARK:
            raise self._split()
        raise self._broken("it is cut off: its end is missing")

    def _find_directory64(self, place: int) -> tuple[int, int, int, int, int] | None:
        block = self._at(max(0, place - _END64_LOCATOR.size), _END64_LOCATOR.size)
        if len(block) < _END64_LOCATOR.size or block[:4] != b"PK\x06\x07":
            return None
        _, _, declared, _ = _END64_LOCATOR.unpack(block)
        # Right before its locator, wherever it was before something was put in front.
        for at in (place - _END64_LOCATOR.size - _END64.size, declared):
            block = self._at(at, _END64.size) if 0 <= at < self._length else b""
            if len(block) == _END64.size and block[:4] == b"PK\x06\x06":
                end = _END64.unpack(block)
                return end[4], end[7], end[8], end[9], at
        raise self._broken("its end is damaged")

    def _split(self) -> UnknownFormatError:
        return UnknownFormatError(
            "the file is one part of an archive that was split.",
            file=self._name,
            hint="Join its parts into one zip, or unpack them and give the folder.",
        )

    def _member(self, fields: tuple[int, ...], raw: bytes, extra: bytes) -> Member:
        flags = fields[3]
        packed, size, offset = self._sizes(fields, extra)
        offset += self._shift
        if raw.isascii():
            text = raw.decode("ascii")
        else:
            text = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        if not text.isprintable() or len(text) > 200:
            text = "".join(c if c.isprintable() else "?" for c in text[:200])
        # The upper half holds Unix permissions whatever system the archive says it is from.
        return Member(text, flags, fields[4], fields[7], packed, size, offset, fields[15] >> 16)

    def _sizes(self, fields: tuple[int, ...], extra: bytes) -> tuple[int, int, int]:
        """Packed size, size and offset of a member, from its extra field where they are wide."""
        packed, size, offset = fields[8], fields[9], fields[16]
        if packed != _WHOLE and size != _WHOLE and offset != _WHOLE:
            return packed, size, offset
        # The extra field is a list of (kind, length, data). Kind 1 is zip64's: 8 bytes for each
        # number that did not fit the entry, in this order, and only for those.
        at = 0
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, at)
            if kind == 1:
                numbers = iter(
                    struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4)
                )
                size = next(numbers, size) if size == _WHOLE else size
                packed = next(numbers, packed) if packed == _WHOLE else packed
                offset = next(numbers, offset) if offset == _WHOLE else offset
                break
            at += 4 + length
        return packed, size, offset

    def _check_members(self) -> None:
        """Refuse overlapping members and a total beyond the limit, before unpacking anything."""
        # Two arrays of 8 bytes a member are all that is held of the directory at a time.
        total = 0
        begins, ends = array("Q"), array("Q")
        for fields, _, extra in self._entries():
            packed, size, offset = self._sizes(fields, extra)
            offset += self._shift
            end = offset + _LOCAL.size + packed
            if end > self._directory:
                raise self._broken("a member is cut off")
            total += size
            begins.append(offset)
            ends.append(end)
        if total > self._limits.zip_total_bytes:
            raise self._over("zip_total_bytes", f"the archive unpacks to {thousands(total)} bytes")
        if begins and min(begins) > 0 and self._at(0, 4) == b"PK\x03\x04":
            raise self._broken("it begins with members that its list does not name")
        # Members that share bytes are how a small zip unpacks to petabytes (Fifield, WOOT 2019).
        reached = 0
        for begin, end in sorted(zip(begins, ends, strict=True)):
            if begin < reached:
                raise UnsafeRecordError(
                    "members of the archive overlap, as they do in zip bombs.",
                    file=self._name,
                    hint=_AGAIN,
                )
            reached = end

    def _over(self, limit: str, what: str, name: str | None = None, hint: str = "") -> LimitError:
        return LimitError(
            f"{what}, the limit is {thousands(getattr(self._limits, limit))}.",
            file=name or self._name,
            hint=f"{hint}{_UNPACK}or raise Limits.{limit} in Python.",
        )

    def _broken(self, what: str) -> MalformedRecordError:
        return MalformedRecordError(f"the archive is broken: {what}.", file=self._name, hint=_AGAIN)

    def _damaged(self, member: Member, what: str) -> MalformedRecordError:
        return MalformedRecordError(
            f"the member is damaged: {what}.", file=f"{self._name}!{member.name}", hint=_AGAIN
        )


class MemberStream:
    """A member's bytes on request, with the memory of one chunk."""

    def __init__(self, archive: Archive, member: Member, position: int):
        self._archive = archive
        self._member = member
        self._position = position
        self._left = member.packed
        self._unpacker = zlib.decompressobj(-15) if member.method == _DEFLATED else None
        self._crc = 0
        self._given = 0

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end, where size and checksum must agree."""
        data = self._inflate(size) if self._unpacker else self._take(size)
        self._crc = zlib.crc32(data, self._crc)
        self._given += len(data)
        member = self._member
        if self._given > member.size or (not data and self._given != member.size):
            raise self._archive._damaged(member, "its size is not the one it declares")
        if not data and self._crc != member.crc:
            raise self._archive._damaged(member, "its checksum does not match")
        return data

    def _inflate(self, size: int) -> bytes:
        unpacker = self._unpacker
        assert unpacker is not None
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or self._take(1 << 16)
            try:
                data = unpacker.decompress(packed, size)
            except zlib.error as error:
                raise self._archive._damaged(self._member, str(error)) from None
            if data or not packed:
                return data
        return b""

    def _take(self, size: int) -> bytes:
        data = self._archive._at(self._position, min(size, self._left))
        self._position += len(data)
        self._left -= len(data)
        return data
