"""Where a process can be killed on the road of one order, step by step: a test compares the list with a recorded order.

A point's step is the one that the process is busy with there: what it has not committed yet, or has just committed.
How points are named is told in `tests.chaos.seams`.
"""

ROAD: tuple[tuple[str, str], ...] = (
    ("till", "web:orders.checkout:Checkout.place:commit:before"),
    ("pending", "web:orders.checkout:Checkout.place:commit:after"),
    ("redeem", "web:voucherify.redemptions:redeem:call:before"),
    ("redeem", "web:voucherify.redemptions:redeem:call:sent"),
    ("redeem", "sandbox:sandbox.redemptions:create_redemptions:commit:before"),
    ("redeem", "sandbox:sandbox.redemptions:create_redemptions:commit:after"),
    ("redeem", "web:voucherify.redemptions:redeem:call:answered"),
    ("paid", "web:orders.checkout:Checkout._pay:commit:before"),
    ("paid", "web:orders.checkout:Checkout._pay:commit:after"),
    ("relay", "worker:segment.analytics.request:post:call:before"),
    ("relay", "worker:segment.analytics.request:post:call:sent"),
    ("door", "web:segment.intake:Intake._append:commit:before"),
    ("door", "web:segment.intake:Intake._append:commit:after"),
    ("relay", "worker:segment.analytics.request:post:call:answered"),
    ("relay", "worker:emitter.relay:Relay._send:commit:before"),
    ("relay", "worker:emitter.relay:Relay._send:commit:after"),
    ("route", "worker:pipeline.route:Router._batch:commit:before"),
    ("route", "worker:pipeline.route:Router._batch:commit:after"),
    ("function", "worker:pipeline.lanes:claim:write:before"),
    ("function", "worker:pipeline.lanes:claim:write:after"),
    ("function", "function:voucherify.publications:publish:call:before"),
    ("function", "function:voucherify.publications:publish:call:sent"),
    ("function", "sandbox:sandbox.publications:create_publication:commit:before"),
    ("function", "sandbox:sandbox.publications:create_publication:commit:after"),
    ("function", "function:voucherify.publications:publish:call:answered"),
    ("function", "worker:pipeline.functions:FunctionPool._keep:write:before"),
    ("function", "worker:pipeline.functions:FunctionPool._keep:write:after"),
    ("function", "worker:pipeline.books:Books._keep:commit:before"),
    ("function", "worker:pipeline.books:Books._keep:commit:after"),
    ("deliver", "worker:pipeline.attempts:start:write:before"),
    ("deliver", "worker:pipeline.attempts:start:write:after"),
    ("deliver", "worker:pipeline.send:Sender._leave:call:before"),
    ("deliver", "worker:pipeline.send:Sender._leave:call:sent"),
    ("voucherify", "sandbox:sandbox.orders:update_order:commit:before"),
    ("voucherify", "sandbox:sandbox.orders:update_order:commit:after"),
    ("deliver", "worker:pipeline.send:Sender._leave:call:answered"),
    ("deliver", "worker:pipeline.books:Books._finish:commit:before"),
    ("deliver", "worker:pipeline.books:Books._finish:commit:after"),
    ("deliver", "worker:pipeline.books:Books._leave:commit:before"),
    ("deliver", "worker:pipeline.books:Books._leave:commit:after"),
    ("webhook", "sandbox:sandbox.webhooks:Sender._send:call:before"),
    ("webhook", "sandbox:sandbox.webhooks:Sender._send:call:sent"),
    ("webhook", "web:webhooks.inbox:put:write:before"),
    ("webhook", "web:webhooks.inbox:put:write:after"),
    ("webhook", "sandbox:sandbox.webhooks:Sender._send:call:answered"),
    ("webhook", "sandbox:sandbox.webhooks:Sender._send_all:write:before"),
    ("webhook", "sandbox:sandbox.webhooks:Sender._send_all:write:after"),
    ("profile", "worker:webhooks.apply:Applier.run_once:commit:before"),
    ("screen", "worker:webhooks.apply:Applier.run_once:commit:after"),  # its NOTIFY has left; whoever heard it goes on
)

BESIDE: tuple[str, ...] = (
    "worker:emitter.relay:Relay._hold:write",
    "worker:log.share:Share.read_to:commit",
    "worker:worker:_scheduled.<locals>.beat:write",
    "worker:jobs:run_alone:write",
    "worker:segment.schema:SchemaReader._batch:commit",
    "worker:pipeline.destination_state:to_ask:write",
    "worker:pipeline.lanes:prolong:write",
)
"""What is passed by the clock, with an order or without: each has a `before` and an `after`."""

REPAIRS: tuple[tuple[str, str], ...] = tuple(
    (first, second)
    for first, seconds in (
        (
            "web:voucherify.redemptions:redeem:call:before",
            (
                "any:orders.checkout:Checkout.take_up:commit:before",
                "any:orders.checkout:Checkout.take_up:commit:after",
                "any:orders.checkout:Checkout._cancel:commit:before",
                "any:orders.checkout:Checkout._cancel:commit:after",
            ),
        ),
        (
            "web:voucherify.redemptions:redeem:call:answered",
            (
                "any:voucherify.orders:get:call:before",
                "any:voucherify.orders:get:call:sent",
                "any:voucherify.orders:get:call:answered",
            ),
        ),
        (
            "web:segment.intake:Intake._append:commit:after",
            ("worker:emitter.relay:Relay._back_off:write:before", "worker:emitter.relay:Relay._back_off:write:after"),
        ),
        (
            "worker:pipeline.send:Sender._leave:call:sent",
            (
                "worker:pipeline.waiting:_close:write:before",
                "worker:pipeline.waiting:_close:write:after",
                "worker:pipeline.send:Sender._leave:call:sent",  # this time of the look-up
                "worker:pipeline.send:Sender._leave:call:answered",
                "worker:pipeline.attempts:end:write:before",
                "worker:pipeline.attempts:end:write:after",
            ),
        ),
        (
            "sandbox:sandbox.orders:update_order:commit:after",
            (
                "worker:pipeline.watch:Watch._ask:call:before",
                "worker:pipeline.watch:Watch._ask:call:sent",
                "worker:pipeline.watch:Watch._ask:call:answered",
                "worker:pipeline.destination_state:note_down:write:before",
                "worker:pipeline.destination_state:note_down:write:after",
                "worker:pipeline.watch:Watch._again:commit:before",
                "worker:pipeline.watch:Watch._again:commit:after",
            ),
        ),
        (
            "web:webhooks.inbox:put:write:after",
            (
                "sandbox:sandbox.webhooks:Sender._failed:commit:before",
                "sandbox:sandbox.webhooks:Sender._failed:commit:after",
            ),
        ),
    )
    for second in seconds
)
"""Kills in the repair of a kill: where the first leads, and where whoever repairs it dies as well.

A cut-off order is taken up by a web process when the till asks again, or by the worker's sweeper: whoever is first."""
