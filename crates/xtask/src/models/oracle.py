"""What `genai-prices` says of models: reads a JSON list of `[provider, id]`, prints a list as long, of `null` where it knows
no such model, else of `{"model": its id, "rates": [[above, input, output, cache_read, cache_write], ...]}` in millionths of
a dollar per million tokens, the lowest tier first."""

import datetime
import json
import sys

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices

PROVIDERS = {
    "moonshot": "moonshotai",
    "xai": "x-ai",
    "huggingface": "huggingface_together",
}

PRICES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def at(price, above):
    if isinstance(price, TieredPrices):
        reached = [tier for tier in price.tiers if tier.start <= above]
        price = max(reached, key=lambda tier: tier.start).price if reached else price.base
    return None if price is None else round(price * 1_000_000)


def told(provider, id):
    try:
        _, model = get_snapshot().find_provider_model(id, None, PROVIDERS.get(provider, provider), None)
    except LookupError:
        return None
    # Some prices are of hours: the dearest counts, so that the answer does not hang on when it is asked.
    today = datetime.datetime.now(tz=datetime.timezone.utc)
    hours = [model.get_prices(today.replace(hour=hour)) for hour in range(24)]
    found = max(hours, key=lambda price: at(getattr(price, "input_mtok", None), 0) or 0)
    prices = [getattr(found, name, None) for name in PRICES]
    starts = {tier.start for price in prices if isinstance(price, TieredPrices) for tier in price.tiers}
    rates = [[above, *(at(price, above) for price in prices)] for above in sorted({0} | starts)]
    return {"model": model.id, "rates": rates}


json.dump([told(provider, id) for provider, id in json.load(sys.stdin)], sys.stdout)
