import pytest

import openai_lesson as lesson


def test_history_is_what_the_events_say(client, pairs):
    job = lesson.start(client, pairs, validation=pairs, hyperparameters={"n_epochs": 3, "batch_size": 5})
    job = lesson.follow(client, job)
    history = lesson.history(client, job)
    assert history["epoch"].tolist() == [1, 2, 3] and history["step"].tolist() == [3, 6, 9]
    events = [e for e in client.fine_tuning.jobs.list_events(job.id, limit=100) if e.data and "step" in e.data]
    full = {e.data["step"]: e.data["full_valid_loss"] for e in events if "full_valid_loss" in e.data}
    assert history["validation loss"].tolist() == pytest.approx([full[step] for step in (3, 6, 9)], abs=6e-5)
    first = [e.data["train_loss"] for e in events if "train_loss" in e.data and e.data["step"] <= 3]
    assert history["training loss"][0] == pytest.approx(sum(first) / 3, abs=1e-4)
    assert history["tokens right"].between(0, 1).all()


def test_without_validation_and_before_the_first_step(client, trained, pairs):
    assert lesson.history(client, trained.id)["validation loss"].isna().all()
    job = lesson.start(client, pairs)
    client.fine_tuning.jobs.cancel(job.id)
    if not [e for e in client.fine_tuning.jobs.list_events(job.id) if e.data and "step" in e.data]:
        with pytest.raises(lesson.LessonError, match="not taken a step"):
            lesson.history(client, job)
