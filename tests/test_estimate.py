"""How fast training is here: as fast as the last job, whose pauses do not count."""

import json

import pytest

from openai_local.estimate import TOKENS_PER_SECOND, estimate
from openai_local.home import Home
from openai_local.models.base_models import SMOLLM2
from openai_local.training.job_folder import Job, Journal

TOKENS = 60_000


@pytest.fixture
def speed(tmp_path):
    """The speed that is told after a job whose steps ended at these seconds."""

    def after(*moments):
        home = Home.open(tmp_path / "home")
        journal = Journal(home.jobs / "ftjob-1")
        journal.folder.mkdir()
        journal.write_job(Job("ftjob-1", SMOLLM2.name, "weights", "data", None, 1, 1, 1, "auto"))
        lines = [json.dumps({"kind": "row", "created_at": at, "step": n}) for n, at in enumerate(moments, start=1)]
        journal.events.write_text("\n".join(lines) + "\n")
        journal.finish(status="succeeded", trained_tokens=TOKENS)
        return estimate(home, tmp_path, 100)["tokens_per_second"]

    return after


def test_it_is_as_fast_as_the_last_job(speed):
    assert speed(*range(100, 161)) == pytest.approx(1000, rel=0.05)


@pytest.mark.parametrize("pauses", [[20], [20, 40], [10, 20, 30, 40, 50]])
def test_pauses_do_not_make_it_slower(speed, pauses):
    moments = [100 + step + 5000 * sum(step > pause for pause in pauses) for step in range(61)]
    assert speed(*moments) == pytest.approx(1000, rel=0.15)


def test_slow_steps_are_no_pauses(speed):
    assert speed(*range(100, 1000, 30)) == pytest.approx(TOKENS / 900, rel=0.1)


def test_a_job_of_one_step_says_nothing(speed):
    assert speed(100) == TOKENS_PER_SECOND
