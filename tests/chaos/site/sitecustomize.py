"""Imported by every Python process of a house whose PYTHONPATH begins with this folder; see `tests.chaos.seams`."""

import os

if "CHAOS_DIR" in os.environ:
    from tests.chaos.seams import install

    install()
