"""What a training costs: in time as one says it, and in dollars at OpenAI."""

import pandas as pd

PRICES = {"gpt-4.1-nano": 1.50, "gpt-4.1-mini": 5.00, "gpt-4o-mini": 3.00, "gpt-4.1": 25.00}
"""US dollars per million trained tokens, from OpenAI's page of prices (developers.openai.com/api/docs/pricing)."""
PRICES_OF = "2026-08-05"
EPOCHS_AT_OPENAI = 3


def price(tokens: int) -> dict[str, float]:
    """What training would cost at OpenAI, in US dollars per model, for those who may still train there."""
    return {model: tokens * EPOCHS_AT_OPENAI * rate / 1_000_000 for model, rate in PRICES.items()}


def prices(tokens: int) -> pd.DataFrame:
    """What training would cost at OpenAI for each of its models, the cheapest first.

    Args:
        tokens: of all examples, as `Lengths.total` has them. Those are tokens of the model on this machine;
            OpenAI's own models count some more or fewer.

    Returns:
        A table with the columns ``model``, ``dollars per million tokens`` and ``dollars for this file``, for as
        many epochs as are usual there.
    """
    rows = [(model, PRICES[model], round(dollars, 3)) for model, dollars in price(tokens).items()]
    table = pd.DataFrame(rows, columns=["model", "dollars per million tokens", "dollars for this file"])
    return table.sort_values("dollars for this file", ignore_index=True)


def duration(seconds: float) -> str:
    """A duration in words, rounded as one would say it."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{round(seconds / 3600)} hours" if seconds < 48 * 3600 else f"{round(seconds / 86400)} days"
