import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from recorder import Exchange
from score import Score, score, table
from sources import Client

FILE = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "a", "purpose": "fine-tune"}


def judge(body, kind="answer", method="GET", path="/v1/files/{id}"):
    return score([Exchange(method, path, kind, body)], Client())


def test_right_wrong_missing_and_extra_fields_are_counted():
    result = judge(FILE | {"bytes": "1", "wings": 2})
    assert (result.whole.right, result.whole.all) == (5, 8)
    assert result.problems == [
        "GET /v1/files/{id}: answer.status is missing (1 times, client)",
        "GET /v1/files/{id}: answer.bytes is '1', not integer (1 times, client)",
        "GET /v1/files/{id}: answer.wings is not documented (1 times, client)",
    ]


def test_an_allowed_difference_counts_as_right_and_is_noted():
    page = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}
    result = judge(page, path="/v1/files")
    assert result.whole.right == result.whole.all == 5 and len(result.used) == 1
    assert judge(page | {"next": 1}, path="/v1/files").problems


def test_errors_have_one_form():
    error = {"message": "no", "type": "invalid_request_error", "param": None, "code": None}
    assert not judge({"error": error}, kind="error").problems
    assert len(judge({"error": "no"}, kind="error").problems) == 1
    assert len(judge({"error": error, "detail": "no"}, kind="error").problems) == 1


def test_the_table_has_a_line_for_each_endpoint():
    lines = table(
        [judge(FILE | {"status": "processed"}), Score("description")], ["GET /v1/files/{id}", "GET /v1/x"]
    )
    assert [line.split() for line in lines] == [
        ["endpoint", "client", "description"],
        ["GET", "/v1/files/{id}", "7/7", "100", "%", "-"],
        ["GET", "/v1/x", "-", "-"],
        ["all", "7/7", "100", "%", "-"],
    ]
