"""The demo programme, which is a file: what the demo's code must know of it by name."""

from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "programmes" / "shipped" / "demo.yaml"
LOYALTY: Final = "Loyalty Program"
