"""The lint: what surprises in a trigger, in a mapping, and in the mappings of a destination together.

Nothing here changes what is taken or sent. It is shown where triggers and mappings are saved and tried.
"""

from app.pipeline.lint_destination import Subscription, lint_destination
from app.pipeline.lint_finding import Finding
from app.pipeline.lint_mapping import lint_mapping
from app.pipeline.lint_trigger import lint_trigger

__all__ = ["Finding", "Subscription", "lint_destination", "lint_mapping", "lint_trigger"]
