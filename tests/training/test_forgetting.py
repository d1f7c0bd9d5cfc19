"""Training spares what the base says by itself. The tiny model knows nothing, but it has habits of its own."""

import pytest
import torch

from openai_local.models.base_models import SMOLLM2
from openai_local.training import general_text
from openai_local.training.data_parallel import DataParallel
from openai_local.training.directions import Directions
from openai_local.training.general_text import Lane, grow
from openai_local.training.job_folder import Hyperparameters, Journal
from openai_local.training.loop import Data, Loop
from openai_local.training.lora import LoraModel
from openai_local.training.tokenisation import Encoder, Example

CPU = torch.device("cpu")
PAIRS = [
    ("What is the sun?", " A star."),
    ("What is the moon?", " A stone in the sky."),
    ("Who is there?", " Nobody."),
    ("How many are two and two?", " Four."),
]


@pytest.fixture
def trained(tmp_path, tiny_cache):
    """Trains the four examples, and returns the losses of these and of the base's own text."""
    weights = SMOLLM2.at(tiny_cache).weights
    encoder = Encoder(weights)
    examples = [encoder.encode({"prompt": prompt, "completion": said}, 100) for prompt, said in PAIRS]

    def train(name, epochs=60):
        (tmp_path / name).mkdir()
        model = LoraModel(weights, device=CPU, dtype=torch.float32)
        general = general_text.of(weights, model.llama, encoder)
        loop = Loop(
            Journal(tmp_path / name),
            model,
            Data(examples, [], 0.0, None),
            general,
            Hyperparameters(epochs, 4, 1.0),
            1,
        )
        own = own_text(model, encoder)  # before the training, so it is the base that says it
        if epochs:
            loop.run()
        return [loop.parallel.measure(some).mean_loss for some in (examples, own)]

    return train


def own_text(model, encoder):
    """What the model says about other things: the likeliest tokens, which count."""
    lanes = [Lane(encoder.tokens(f"Tell me of number {number}."), None, 30) for number in range(12)]
    starts = [len(lane.given) for lane in lanes]
    grow(model.llama, lanes, encoder.end, 0.0)
    return [
        Example(lane.tokens, [place >= start for place in range(len(lane.tokens))])
        for start, lane in zip(starts, lanes, strict=True)
    ]


def test_what_is_not_taught_is_spared(trained, monkeypatch):
    untrained, base = trained("untrained", epochs=0)
    learned, spared = trained("aimed")

    def blind(self, *_):
        """Directions as LoRA has them usually: random, and nothing decays."""
        torch.manual_seed(0)
        for own in self.model.directions:
            inputs = own.a.shape[1]
            own.become(
                Directions(torch.empty_like(own.a).uniform_(-1, 1) / inputs**0.5, torch.zeros_like(own.costs))
            )

    monkeypatch.setattr(DataParallel, "aim", blind)
    as_well, forgotten = trained("blind")
    assert learned < untrained / 10 and as_well < untrained / 10, "both learn"
    assert spared - base < (forgotten - base) / 2, "and one of them forgets"
