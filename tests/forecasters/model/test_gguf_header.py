"""Hostile headers: no count or length is believed that the file has no bytes for."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import DownloadError
from llm4top.forecasters.model.gguf_header import GgufTensor, read_gguf_header

HUGE = 2**63


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str, *shape: int, kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def gguf(
    *fields: bytes, tensors: tuple[bytes, ...] = (), counts: tuple[int, int] | None = None,
    version: int = 3, data: bytes = b"",
) -> bytes:  # fmt: skip
    numbers = counts or (len(tensors), len(fields))
    return b"".join(
        [b"GGUF", struct.pack("<IQQ", version, *numbers), *fields, *tensors, data or bytes(64)]
    )


def read(tmp_path: Path, content: bytes):  # type: ignore[no-untyped-def]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return read_gguf_header(path)


ARCHITECTURE = field("general.architecture", 8, text("llama"))


def test_a_good_header(tmp_path: Path) -> None:
    header = read(
        tmp_path,
        gguf(
            ARCHITECTURE,
            field("general.name", 8, text("A\n model ")),
            field("llama.block_count", 4, struct.pack("<I", 2)),
            field("general.flag", 7, b"\x01"),
            field("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b")),
            field("tokenizer.ggml.scores", 9, struct.pack("<IQ2f", 6, 2, 0.5, 0.5)),
            tensors=(tensor("token_embd.weight", 4, 3),),
        ),
    )
    assert header.architecture == "llama"
    assert header.text("general.name") == "A model"
    assert header.text("llama.block_count") == header.text("none") == ""
    assert header.number("llama.block_count") == header.number("tokenizer.ggml.tokens") == 2
    assert header.number("general.flag") is header.number("none") is None
    assert header.tensors == (GgufTensor("token_embd.weight", (4, 3), 0, 0),)
    assert header.elements == 12
    assert header.data_start % 32 == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GGUF", "this is not a GGUF file"),
        (b"PK\3\4" + bytes(40), "this is not a GGUF file"),
        (gguf(version=1), "is of version 1; versions 2 and 3 in little-endian order are read"),
        (gguf(version=0x03000000), "is in big-endian byte order"),
        (gguf(counts=(HUGE, 0)), "tensors, and the file has 88 bytes"),
        (gguf(counts=(0, HUGE)), "fields, and the file has 88 bytes"),
        (gguf(counts=(0, 5), data=bytes(70)), "the field '' is there twice"),
        (gguf(struct.pack("<Q", HUGE)), "a field's name has"),
        (gguf(struct.pack("<Q", 1000)), "the file ends inside a field's name"),
        (gguf(field("a", 8, struct.pack("<Q", HUGE))), "the field 'a' has"),
        (gguf(field("a", 8, struct.pack("<Q", 99_999))), "the file ends inside the field 'a'"),
        (gguf(field("a", 8, struct.pack("<Q", 2) + b"\xff\xfe")), "the field 'a' is no UTF-8 text"),
        (gguf(field("a", 9, struct.pack("<IQ", 4, HUGE))), "entries of 'a', and the file has"),
        (gguf(field("a", 9, struct.pack("<IQ", 8, HUGE))), "entries of 'a', and the file has"),
        (
            gguf(field("a", 9, struct.pack("<IQQ", 8, 1, HUGE))),
            "the file ends inside an entry of 'a'",
        ),
        (gguf(field("a", 9, struct.pack("<IQ", 9, 1))), "the field 'a' is a list of the type 9"),
        (gguf(field("a", 77, b"")), "the field 'a' is of the unknown type 77"),
        (
            gguf(field("general.alignment", 4, bytes(4)), tensors=(tensor("t", 1),)),
            "the alignment is 0",
        ),
        (gguf(tensors=(text("t") + struct.pack("<I", 2**31),)), "has 2147483648 dimensions"),
        (gguf(tensors=(tensor("t", HUGE, HUGE),)), "does not fit into the file of"),
        (gguf(tensors=(tensor("t", 4, 0),)), "of shape 4x0 does not fit into the file"),
        (gguf(tensors=(tensor("t", 4, offset=HUGE),)), "does not fit into the file of"),
    ],
)  # fmt: skip
def test_a_bad_header_is_told_and_costs_nothing(
    content: bytes, message: str, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DownloadError) as error:
            read(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert message in str(error.value)
    assert error.value.hint


@given(st.binary(max_size=300), st.integers(0, 4), st.integers(0, 4))
def test_any_bytes_are_a_header_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, tensors: int, fields: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, fields) + content)
    with contextlib.suppress(DownloadError):
        assert len(read_gguf_header(path).tensors) == tensors
