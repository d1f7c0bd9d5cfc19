"""Does what the service answers look like OpenAI's API, field by field? Every endpoint, with a real job.

The authorities are the official client's response models and, where the environment variable OPENAI_REFERENCE
names a folder with OpenAI's description in YAML, that too. The score stands at the end of the run's output.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from differences import DIFFERENCES
from offered import offers
from official import key
from recorder import Recorder
from score import score, table
from shapes import fields
from sources import Client, Description
from tour import tour

from tally import AT_THE_END


@pytest.fixture(scope="module")
def offered():
    """What the service offers of OpenAI's; the class's page is ours."""
    return [offer for offer in offers() if not offer.path.startswith("/v1/class")]


@pytest.fixture(scope="module")
def exchanges(service, client, pairs, offered):
    """All that came back."""
    recorder = Recorder(f"{service.url}/", client.api_key, offered)
    tour(recorder, pairs.read_bytes())
    return recorder.exchanges


@pytest.fixture(scope="module")
def sources():
    folder = os.environ.get("OPENAI_REFERENCE")
    return [Client()] + ([Description(Path(folder))] if folder else [])


@pytest.fixture(scope="module")
def scores(request, exchanges, sources, offered):
    """The scores, which are shown at the end of the run too."""
    found = [score(exchanges, source) for source in sources]
    rows = [f"{offer.method} {offer.path}" for offer in offered]
    lines = table(found, [*rows, "any address"])
    lines += [f"wrong: {problem}" for one in found for problem in one.problems]
    used = [difference for difference in DIFFERENCES if any(difference in one.used for one in found)]
    lines += [f"allowed ({d.sources}): {d.where}{d.path} {d.problem}: {d.reason}" for d in used]
    lines += [f"not offered: {line}" for line in not_offered(sources, offered)]
    request.config.stash[AT_THE_END]["fidelity to OpenAI's API"] = lines
    return found


def not_offered(sources, offered):
    ours = {key(offer.method, offer.path) for offer in offered}
    known = dict.fromkeys(endpoint for source in sources for endpoint in source.endpoints())
    return [f"{method} /v1{path}" for method, path in known if (method, path) not in ours]


def test_every_endpoint_was_called(exchanges, offered):
    good = {(one.method, one.path) for one in exchanges if one.kind != "error"}
    assert [offer for offer in offered if (offer.method, offer.path) not in good] == []


def test_all_that_the_client_knows_is_checked(exchanges):
    source = Client()
    known = [(one.method, one.path, one.kind) for one in exchanges if key(one.method, one.path) in source.calls]
    unchecked = {one for one in known if source.schema(*one) is None}
    assert unchecked == {("GET", "/v1/files/{id}/content", "answer")}, "the content of a file has no fields"


def test_every_field_is_as_documented(scores):
    problems = [problem for score in scores for problem in score.problems]
    assert not problems, "\n".join(problems)
    assert all(score.whole.right == score.whole.all > 500 for score in scores)


def test_no_allowed_difference_is_out_of_date(scores):
    used = set().union(*(score.used for score in scores))
    tried = [one for one in DIFFERENCES if any(score.source in one.sources for score in scores)]
    assert [one for one in tried if one not in used] == []


def test_pydantic_itself_agrees(exchanges):
    """Where our reading of the client's models finds nothing wrong, pydantic in strict form finds nothing too."""
    source = Client()
    for one in exchanges:
        found = source.schema(one.method, one.path, one.kind)
        wrong = {field.problem for field in fields(one.body, *found)} if found else {"no type"}
        if wrong <= {None, "is not documented"}:
            source.adapter(one.method, one.path, one.kind).validate_python(one.body, strict=True)
