from openai_local.engine.score import Score


def test_scores_add_up():
    score = Score(2.0, 4.0, 1, 4, 0, 1) + Score(2.0, 4.0, 3, 4, 1, 1)
    assert (score.mean_loss, score.accuracy, score.sequence_accuracy) == (0.5, 0.5, 0.5)


def test_nothing_is_no_division_by_zero():
    assert (Score().mean_loss, Score().accuracy, Score().sequence_accuracy) == (0, 0, 0)
