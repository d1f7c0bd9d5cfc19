"""What the code can't say about itself: in which order the endpoints stand, and how some differ from OpenAI's.

Plain, short sentences, for readers in many languages.
"""

INTRODUCTION = """
# The API

<!-- Made by `python docs/make_api.py` from the service itself. Don't edit it by hand: a test compares. -->

The service speaks OpenAI's API. This page lists all of its endpoints, and every parameter that the official client
(`openai` 3.x) knows for them.

- **works**: as OpenAI documents it.
- **differs**: it works, but not quite as at OpenAI. The last column says how.
- **refused**: the service answers 400 with the code `unsupported_parameter`, and names the parameter in `param`.

A parameter that OpenAI does not know is refused in the same way. (Unknown names in the query of an address, and
inside a chat message, are ignored.) Every call needs the header
`Authorization: Bearer KEY`. Errors come in OpenAI's form, `{"error": {"message", "type", "param", "code"}}`, and
the client raises the same exceptions as for OpenAI.

`model` may be the name of the base model, of a fine-tune, or of a checkpoint of one. The names of OpenAI's models
that could be fine-tuned (`ada`, `gpt-3.5-turbo`, …) stand for the base model.

A key sees what was made with keys of the same name, and an instructor's key sees all. What is somebody else's
answers like what does not exist. Where there are limits, 429 comes with `Retry-After`. A job comes
with `openai-poll-after-ms`: when to look at it again, so that many followers don't hold up the training.
"""

GROUPS = {
    "files": "Files",
    "fine_tuning": "Fine-tuning",
    "models": "Models",
    "completions": "Completions",
    "chat": "Chat completions",
    "responses": "Responses",
    "fine-tunes": "Fine-tunes, as in 2022",
    "engines": "Engines, as in 2022",
    "class": "A class",
    "": "More",
}

ENDPOINTS = {
    "GET /v1/files/{id}/content": "Result files are plain CSV. (OpenAI encoded them as base64.)",
    "POST /v1/fine_tuning/jobs": (
        "A bad training file does not fail the call. It fails the job a little later, and `error` says why."
    ),
    "GET /v1/fine_tuning/jobs/{id}": (
        "Statuses are OpenAI's: validating_files, queued, running, paused, succeeded, failed, cancelled."
    ),
    "GET /v1/models": "OpenAI's old names for the base model are not listed, but can be retrieved and used.",
    "POST /v1/fine_tuning/jobs/{id}/pause": (
        "The client's types lack the status `paused`; OpenAI answers it all the same."
    ),
    "POST /v1/responses": "Nothing is kept: send the whole conversation each time.",
    "POST /v1/fine-tunes": (
        "They are the model `curie` and 4 epochs. The job has an id of today too: `ftjob-…` instead of `ft-…`."
    ),
    "GET /v1/fine-tunes/{id}": "It can't be deleted (`fine_tunes.delete`); its model can (`models.delete`).",
    "GET /v1/fine-tunes/{id}/events": "In the words of 2022. The stream ends with `data: [DONE]`.",
    "POST /v1/engines/{id}/completions": "Its parameters are those of `/v1/completions`; the path has the model.",
    "GET /v1/class": (
        "The class's page shows this: jobs, the queue, the machine, and to an instructor all learners. OpenAI has "
        "nothing like it, and it may change with the page."
    ),
    "POST /v1/class/jobs/{id}/first": "For instructors.",
    "POST /v1/class/jobs/{id}/last": "For instructors.",
    "DELETE /v1/models/{id}": "Only fine-tunes can be deleted. A base model answers 403.",
}

PARAMETERS = {
    "POST /v1/files purpose": "Only `fine-tune`.",
    "POST /v1/fine_tuning/jobs model": (
        "A base model, or one of OpenAI's names for one. A fine-tune can't be trained further."
    ),
    "POST /v1/fine_tuning/jobs method": "Only `supervised`. The methods `dpo` and `reinforcement` are refused.",
    "POST /v1/fine_tuning/jobs hyperparameters": (
        "OpenAI calls it deprecated. Here it means the same as in `method`."
    ),
    "POST /v1/fine-tunes model": "One of OpenAI's names or a base model. It stays in the name of the fine-tune.",
    "POST /v1/fine-tunes learning_rate_multiplier": (
        "An ordinary value is 0.1, as it was then. It is a tenth of what today's API calls by the same name."
    ),
    "POST /v1/fine-tunes batch_size": "Without it, the answer has null until the fine-tune has started.",
    "POST /v1/chat/completions messages": (
        "Text only. Messages of the roles `system`, `developer`, `user` and `assistant`, without tools."
    ),
    "POST /v1/chat/completions response_format": (
        "All forms work. A schema is kept to, whatever `strict` says. It may have 10 patterns, and count 10,000 "
        "items of lists."
    ),
    "POST /v1/responses input": "A text, or messages with text. Other items are refused.",
    "POST /v1/responses text": "`format` works. `verbosity` is refused, except `medium`.",
    "POST /v1/responses include": "Only `message.output_text.logprobs`.",
    "presence_penalty": "The tokens of the prompt count too.",
    "frequency_penalty": "The tokens of the prompt count too.",
    "user": "Taken. It changes no answer.",
    "safety_identifier": "Taken. It changes no answer.",
    "prompt_cache_key": "Taken. It changes no answer.",
}

NOT_OFFERED = """
These endpoints of the same resources are not there. They answer 404 with the code `unknown_url`, or 405 with
`method_not_supported`. Nor is anything of OpenAI's other resources: embeddings, images, audio, batches and so on.
"""
