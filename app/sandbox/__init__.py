"""A Voucherify you can run on a plane: its own server, its own database, the public API of `v2018-08-01`.

Nobody imports this package; the backend and the official SDKs reach it over HTTP, as they reach the real one. What it
emulates, and how sure we are of each behaviour, is in `docs/reference/fidelity.md`.
"""
