"""A learner as a program: goes through the lesson with the official client, and notes all that the service says.

Each learner has a word that nobody else has. It stands in the name of their file, in every answer that their model
learns, and in the model's name. So it shows when something is lost (`lost`) or is somebody else's (`mixed_up`).
Both judge by the notes alone, so that a test can hand them notes that are wrong.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from threading import Barrier

import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from openai_data.errors import LessonError
from openai_lesson.watching import Watcher, reason
from openai_local.classroom.handout import Strip
from sent import Sent

QUESTIONS = (
    "What is the word?",
    "Which word is it?",
    "Say the word.",
    "Tell me the word.",
    "What is your word?",
    "Which word do you know?",
    "What word did you learn?",
    "Do you know the word?",
    "Please say the word.",
    "What is the secret word?",
    "Which word is the right one?",
    "What is the word of the day?",
    "Can you tell me the word?",
    "Which word shall I write down?",
)
"""What a model is trained with. All have the same answer, the learner's word, which stands in no question."""
ASKED = 3
"""How many of them a learner asks their model."""
BATCH = 5
MOST_TOKENS = 16
KEPT_CHECKPOINTS = 3
_SYLLABLES = "ba de fi go hu ka le mi no pu".split()


def word(number: int) -> str:
    """A word of three syllables, such as ``gopumi``; the numbers up to 999 have one each."""
    return "".join(_SYLLABLES[int(digit)] for digit in f"{number * 397 % 1000:03}")


def hand_out(home: Path) -> list[Strip]:
    """Whose keys are in the hand-out of a service with the folder `home`."""
    [path] = home.glob("handout-*.csv")
    rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    return [Strip(row["name"], row["learner"], row["key"], row["role"] == "instructor") for row in rows]


def training_file(word: str) -> bytes:
    """The training file for a word."""
    pairs = ({"prompt": question, "completion": f" {word}."} for question in QUESTIONS)
    return "".join(json.dumps(pair) + "\n" for pair in pairs).encode()


@dataclass
class Notes:
    """What one learner gave to the service, and all that it said.

    Attributes:
        word: the learner's.
        epochs: how often their model shall see the data.
        sent: the training file.
        returned: the same, downloaded again.
        job: at the end.
        followed: the job's events as the notebooks' helper got them, oldest first.
        events: the same, listed at the end.
        files: all that are listed.
        jobs: all that are listed.
        models: the names of the fine-tunes that are listed.
        answers: what the model said.
        error: what ended the learner's way; nothing if they came to the end.
    """

    word: str
    epochs: int
    sent: bytes
    returned: bytes = b""
    job: FineTuningJob | None = None
    followed: list[FineTuningJobEvent] = field(default_factory=list)
    events: list[FineTuningJobEvent] = field(default_factory=list)
    files: list[FileObject] = field(default_factory=list)
    jobs: list[FineTuningJob] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    error: str = ""

    def said(self) -> str:
        """All that the service said, as one text."""
        things = [*self.files, *self.jobs, *self.followed, *self.events, *([self.job] if self.job else [])]
        texts = [thing.to_json(indent=None) for thing in things]
        return "\n".join([*texts, *self.models, *self.answers, self.returned.decode(errors="replace")])

    def marks(self) -> list[str]:
        """What nobody else may see: the word, and the ids of what is theirs."""
        job = self.job
        ids = [event.id for event in self.events]
        return [self.word, *ids, *([job.id, job.training_file, *job.result_files] if job else [])]


class _Follower(Watcher):
    """The notebooks' helper; it writes down what it would show."""

    def __init__(self, client: openai.OpenAI, job: str, told: list[FineTuningJobEvent]) -> None:
        super().__init__(client, job, tell=lambda *_: None, come_back="", bar=False)
        self._told = told

    def lines(self, news: list[FineTuningJobEvent]) -> list[tuple[float, str]]:
        self._told.extend(news)
        return []


class Learner:
    """One learner, with a client and a key of their own.

    Attributes:
        notes: what the service said so far.
        sent: what the client sent so far.
    """

    def __init__(
        self, name: str, number: int, url: str, key: str, *, epochs: int, tell: Callable[[str], None] | None = None
    ) -> None:
        """Nothing is sent yet.

        Args:
            name: that of the key.
            number: of the learner's word; also the seed of their training.
            url: the service's base URL.
            key: the learner's.
            epochs: how often the model shall see the data.
            tell: gets a sentence about each thing that the learner does.
        """
        mine = word(number)
        self.name, self.notes, self.sent = name, Notes(mine, epochs, training_file(mine)), Sent()
        self._client, self._seed, self._tell = self.sent.client(url, key), number, tell or (lambda _: None)

    def learn(self) -> None:
        """The whole lesson: upload, train, follow, ask, and look at what is there."""
        self._try(self._learn)

    def ask(self, questions: Sequence[str]) -> None:
        """Ask the trained model; the likeliest answers."""
        self._try(lambda: self._ask(questions))

    def _try(self, act: Callable[[], None]) -> None:
        if self.notes.error:
            return
        try:
            act()
        except (openai.OpenAIError, LessonError) as error:
            self.notes.error = f"{type(error).__name__}: {error}"
            self._tell(f"can't go on: {error}")
        self.sent.close()

    def _learn(self) -> None:
        notes, client = self.notes, self._client
        name = f"{notes.word}.jsonl"
        file = client.files.create(file=(name, notes.sent), purpose="fine-tune")
        self._tell(f"has uploaded {name} with {len(QUESTIONS)} questions and answers")
        job = client.fine_tuning.jobs.create(
            model="ada",
            training_file=file.id,
            suffix=notes.word,
            seed=self._seed,
            hyperparameters={"n_epochs": notes.epochs, "batch_size": BATCH},
        )
        self._tell("has started a job and follows it")
        notes.job = _Follower(client, job.id, notes.followed).watch()
        self._tell(f"sees that the job has {notes.job.status}: {notes.job.fine_tuned_model or reason(notes.job)}")
        self._ask(QUESTIONS[:ASKED])
        self._look(file.id)

    def _ask(self, questions: Sequence[str]) -> None:
        model = self.notes.job and self.notes.job.fine_tuned_model
        for question in questions if model else ():
            given = self._client.completions.create(
                model=str(model), prompt=question, max_tokens=MOST_TOKENS, temperature=0
            )
            self.notes.answers.append(given.choices[0].text.strip())
            self._tell(f"asks “{question}” and gets “{self.notes.answers[-1]}”")

    def _look(self, file: str) -> None:
        notes, client = self.notes, self._client
        notes.files, notes.jobs = [*client.files.list()], [*client.fine_tuning.jobs.list()]
        notes.models = [model.id for model in client.models.list() if model.id.startswith("ft:")]
        if notes.job:
            notes.events = [*client.fine_tuning.jobs.list_events(notes.job.id, limit=1000)][::-1]
        notes.returned = client.files.content(file).content


def at_once(learners: Sequence[Learner], act: Callable[[Learner], None]) -> None:
    """All learners do something at the same moment, each in a thread of their own."""
    start = Barrier(len(learners))

    def begin(learner: Learner) -> None:
        start.wait()
        act(learner)

    with ThreadPoolExecutor(len(learners)) as pool:
        list(pool.map(begin, learners))


def lost(notes: Notes) -> list[str]:
    """What should be there and is not, or is there twice: sentences. Nothing lost: an empty list."""
    job = notes.job
    if notes.error or job is None or job.status != "succeeded" or not job.fine_tuned_model:
        return [f"{notes.word}: {notes.error or (f'the job has {job.status}' if job else 'there is no job')}"]
    ids = [event.id for event in notes.events]
    times = [event.created_at for event in notes.events]
    steps = [event.data["step"] for event in notes.events if event.type == "metrics"]  # type: ignore[index]
    checkpoints = [name for name in notes.models if name.startswith(f"{job.fine_tuned_model}:ckpt-step-")]
    files = [job.training_file, *job.result_files]
    checks = [
        (notes.returned == notes.sent, "the file that came back is another one"),
        (
            sorted(file.id for file in notes.files) == sorted(files),
            "the files are not what was sent and its results",
        ),
        ([listed.id for listed in notes.jobs] == [job.id], "the jobs are not the one that was created"),
        (sorted(notes.models) == sorted([job.fine_tuned_model, *checkpoints]), "the models are not the job's"),
        (len(checkpoints) == min(KEPT_CHECKPOINTS, notes.epochs), f"there are {len(checkpoints)} checkpoints"),
        (steps == [*range(1, notes.epochs * ceil(len(QUESTIONS) / BATCH) + 1)], f"the steps are {steps}"),
        (len(set(ids)) == len(ids), "an event is there twice"),
        (times == sorted(times), "the events are not in order"),
        ([event.id for event in notes.followed] == ids, "the helper was told other events"),
        (len(notes.answers) >= ASKED, f"there are {len(notes.answers)} answers"),
        (all(notes.word in said for said in notes.answers), f"the answers are {notes.answers}"),
    ]
    return [f"{notes.word}: {problem}" for well, problem in checks if not well]


def mixed_up(notes: Notes, others: Iterable[Notes]) -> list[str]:
    """What one learner was told of others: sentences. Nothing mixed up: an empty list."""
    said = notes.said()
    return [
        f"{notes.word} was told of {mark}, which is {other.word}'s"
        for other in others
        if other is not notes
        for mark in other.marks()
        if mark in said
    ]
