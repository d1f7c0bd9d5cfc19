"""Runs in the environment of openai 0.28.1: lets its `prepare_data` prepare each file that is named, with -q."""

import contextlib
import io
import json
import sys
import traceback

from openai.cli import FineTune


class Arguments:
    quiet = True


said = {}
for path in sys.argv[1:]:
    Arguments.file, out, err = path, io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            FineTune.prepare_data(Arguments)
        except SystemExit as end:
            code = end.code
        except Exception:
            code, _ = 2, traceback.print_exc()
    said[path] = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
print(json.dumps(said))
