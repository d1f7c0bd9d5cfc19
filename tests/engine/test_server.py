import faulthandler

from openai_local.engine import server


def test_a_server_that_is_let_go_of_at_once_ends(tiny_cache):
    """llama.cpp's would hang for ever, and hold up all Python threads, if its loop had not begun yet."""
    gguf = next(tiny_cache.rglob("*.gguf"))
    faulthandler.dump_traceback_later(120, exit=True)  # such a hang can't be interrupted
    try:
        for _ in range(200):
            server.start(gguf, [], 1)
    finally:
        faulthandler.cancel_dump_traceback_later()
