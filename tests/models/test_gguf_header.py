"""GGUF files that are not what they say are refused before anything believes them."""

import os
import struct

import pytest

from openai_local.errors import LocalError
from openai_local.models.gguf_header import read_header
from tiny import write_gguf


@pytest.fixture
def path(tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


def changed(path, place, form, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)
    return path


def test_a_good_file_is_good(path):
    read_header(path)


@pytest.mark.parametrize("alignment", [0, 8, 16, 33, 64, 1 << 17])
def test_numbers_begin_where_llama_cpp_needs_them(path, alignment):
    """It would end the whole process at 8 and 16."""
    key = b"general.alignment"
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, alignment)
    path.write_bytes(path.read_bytes()[:8] + struct.pack("<QQ", 0, 1) + entry + bytes(64))
    if alignment == 64:
        assert read_header(path).fields == {"general.alignment": 64}
        return
    with pytest.raises(LocalError, match="its alignment is no power of two from 32 to 65,536"):
        read_header(path)


def test_a_head_has_an_end(path, tmp_path):
    """A file with holes takes no room on the disk, and would take eight times its length in memory."""
    head = bytearray(path.read_bytes()[:24])
    struct.pack_into("<QQ", head, 8, 0, 1)
    entry = struct.pack("<Q1sIIQ", 1, b"x", 9, 0, 1 << 27)
    endless = tmp_path / "endless.gguf"
    endless.write_bytes(head + entry)
    os.truncate(endless, 1 << 28)
    with pytest.raises(LocalError, match=r"its head does not end within 32,000,000 bytes"):
        read_header(endless)


@pytest.mark.parametrize("kept", [0, 3, 20, 24, 1_000, 5_000, -40_000, -100])
def test_a_file_that_was_cut_short(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        LocalError, match=r"tiny\.gguf is no GGUF file that can be used: .* Copy or fetch it again"
    ):
        read_header(path)


@pytest.mark.parametrize(
    ("place", "form", "value", "said"),
    [
        (0, "<I", 0, "does not begin as one"),
        (4, "<I", 9, "its version is 9"),
        (8, "<Q", 1 << 62, "tensors"),
        (16, "<Q", 1 << 62, "entries"),
        (24, "<Q", 1 << 62, "a name of"),
        (24, "<Q", 0, "a name of 0 bytes"),
    ],
)
def test_a_head_that_lies(path, place, form, value, said):
    with pytest.raises(LocalError, match=said):
        read_header(changed(path, place, form, value))


@pytest.mark.parametrize(
    ("behind", "form", "value", "said"),
    [
        (0, "<I", 9, "has 9 dimensions"),
        (4, "<Q", 1 << 61, "its tensors need"),
        (4, "<Q", 0, "a shape or a place that can't be"),
        (20, "<I", 999, "unknown type 999"),
        (24, "<Q", 1 << 60, "its tensors need"),
        (24, "<Q", 7, "a shape or a place that can't be"),
    ],
)
def test_a_tensor_that_lies(path, behind, form, value, said):
    name = b"blk.1.attn_q.weight"
    place = path.read_bytes().index(name) + len(name)
    with pytest.raises(LocalError, match=said):
        read_header(changed(path, place + behind, form, value))


def test_an_entry_that_lies(path):
    key = b"tokenizer.ggml.tokens"
    place = path.read_bytes().index(key) + len(key)
    with pytest.raises(LocalError, match="texts in a row"):
        read_header(changed(path, place + 8, "<Q", 1 << 61))
    with pytest.raises(LocalError, match="unknown type 77"):
        read_header(changed(path, place, "<I", 77))


def test_a_key_that_comes_twice(path):
    content = path.read_bytes().replace(b"tokenizer.ggml.bos_token_id", b"tokenizer.ggml.eos_token_id")
    path.write_bytes(content)
    with pytest.raises(LocalError, match=r"has tokenizer\.ggml\.eos_token_id twice"):
        read_header(path)
