"""The data goes when its job is over; what a model card says of it stays."""

import hashlib

import pytest

from openai_local.engine.origin import data_file, let_go, noted, origins

PAIRS = b'{"prompt": "secret?", "completion": " yes"}\n\n' * 3
CHATS = b'{"messages": [{"role": "assistant", "content": "secret"}]}\n'


@pytest.fixture
def folder(tmp_path):
    data_file(tmp_path, "training_file").write_bytes(PAIRS)
    data_file(tmp_path, "validation_file").write_bytes(CHATS)
    (tmp_path / "step-2.gguf").touch()
    return tmp_path


def test_what_is_known_stays_and_the_data_goes(folder):
    before = origins(folder)
    assert before["training_file"].sha256 == hashlib.sha256(PAIRS).hexdigest()
    assert [(found.examples, found.plain) for found in before.values()] == [(3, True), (1, False)]
    let_go(folder)
    let_go(folder)
    assert origins(folder) == before
    assert not [path for path in folder.iterdir() if b"secret" in path.read_bytes()]


def test_it_is_done_again_if_it_was_interrupted(folder):
    content = {path: path.read_bytes() for path in folder.glob("*.jsonl")}
    let_go(folder)
    before = origins(folder)
    for path, data in content.items():
        path.write_bytes(data)
    let_go(folder)
    assert origins(folder) == before and not [*folder.glob("*.jsonl")]


def test_a_note_that_is_damaged_is_none(folder):
    before = origins(folder)
    noted(folder).write_text('{"training_file": 1}')
    assert origins(folder) == before


def test_where_there_is_no_model_nothing_is_noted(folder):
    (folder / "step-2.gguf").unlink()
    data_file(folder, "training_file").write_bytes(b"\xff" * 100)
    let_go(folder)
    assert not [*folder.iterdir()]
