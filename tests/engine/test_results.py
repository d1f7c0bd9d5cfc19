from openai_local.engine.results import write_table

ROWS = [
    {"step": 1, "train_loss": 0.5, "train_accuracy": 0.25, "train_sequence_accuracy": 0.0, "elapsed_tokens": 7},
    {"step": 2, "train_loss": 0.25, "train_accuracy": 1.0, "train_sequence_accuracy": 1.0, "elapsed_tokens": 14},
    {"step": 2, "classification/accuracy": 0.75},
]


def test_the_columns_of_today(tmp_path):
    write_table(tmp_path / "a.csv", ROWS, of_2022=False)
    assert (tmp_path / "a.csv").read_text() == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,0.50000,0.25000,,\n2,0.25000,1.00000,,\n"
    )


def test_the_columns_of_2022(tmp_path):
    write_table(tmp_path / "a.csv", ROWS, of_2022=True)
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "step,elapsed_tokens,training_loss,training_sequence_accuracy,training_token_accuracy,classification/accuracy",
        "1,7,0.50000,0.00000,0.25000,",
        "2,14,0.25000,1.00000,1.00000,0.75000",
    ]


def test_a_step_that_was_done_again_has_one_row(tmp_path):
    write_table(tmp_path / "a.csv", ROWS + ROWS, of_2022=False)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3
