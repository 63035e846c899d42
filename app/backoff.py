"""How long to wait before the next try."""

import random


def backoff(attempts: int, *, base: float = 0.5, cap: float = 60.0) -> float:
    """Seconds: exponential, capped, with jitter, so that workers do not come back all at once."""
    return float(min(cap, base * 2 ** min(attempts, 20)) * random.uniform(0.7, 1.3))  # noqa: S311 - not a secret
