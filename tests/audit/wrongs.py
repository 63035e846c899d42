"""Ways in which a deployment can be wrong, as statements, and what an audit is to find then."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wrong:
    """Statements that make one thing wrong, and what is to be found. Names in braces are those of `Sold`."""

    kind: str
    subject: str
    statements: tuple[str, ...]
    also: dict[str, set[str]] = field(default_factory=dict)
    """What else is wrong then, by its nature."""


OPERATION = """
    INSERT INTO point_operation (id, client, idempotency_key, request_hash, kind, member_id, card, points, title,
                                 status, sent, look_ups, created_at, touched_at, finished_at)
    VALUES ('00000000-0000-0000-0000-000000000001', 'operator:Ann', '1', '', 'adjustment', '{member}', '{card}', 5,
            'Sorry', 'DONE', '{{}}', '[]', now(), now(), now())"""

HERE = [
    Wrong("emission_missing", "order {first}", ("DELETE FROM emission WHERE message_id = 'order-completed:{first}'",)),
    Wrong(
        "emission_doubled",
        "order {first}",
        (
            """INSERT INTO emission (source, message_id, message, order_id, status, attempts, due_at, created_at)
               SELECT source, 'again', message, order_id, status, attempts, due_at, created_at
               FROM emission WHERE message_id = 'order-completed:{first}'""",
        ),
    ),
    Wrong("emission_unexpected", "order {nobodys}", ("UPDATE orders SET status = 'CANCELED' WHERE id = '{nobodys}'",)),
    Wrong(
        "event_missing",
        "order {first}",
        ("DELETE FROM event WHERE name = 'Order Completed' AND order_id = '{first}'",),
    ),
    Wrong(
        "event_missing",
        "order {first}",
        ("UPDATE event SET message_id = 'x' WHERE name = 'Order Completed' AND order_id = '{first}'",),
    ),
    Wrong(
        "event_missing",
        "emission {told}",
        ("DELETE FROM event WHERE message_id = (SELECT message_id FROM emission WHERE id = {told})",),
    ),
    Wrong(
        "event_doubled",
        "order {nobodys}",
        (
            """INSERT INTO event (partition, person, message_id, source, type, name, order_id, message, received_at)
               SELECT partition, person, message_id, source, type, name, order_id, message, now()
               FROM event WHERE name = 'Order Completed' AND order_id = '{nobodys}'""",
            "UPDATE log_cursor SET position = 1000000",
        ),
    ),
    Wrong(
        "event_doubled",
        "event 1000000",
        (
            """INSERT INTO event (position, partition, person, message_id, source, type, message, received_at)
               SELECT 1000000, partition, person, message_id, source, 'track', message, now()
               FROM event WHERE message_id = (SELECT message_id FROM emission WHERE id = {told})""",
            "UPDATE log_cursor SET position = 1000000",
        ),
    ),
    Wrong(
        "enrolment_missing", "member {other}", ("DELETE FROM emission WHERE message_id = 'member-enrolled:{other}'",)
    ),
    Wrong(
        "delivery_missing",
        "order {small}",
        ("DELETE FROM delivery USING event WHERE event_position = position AND order_id = '{small}'",),
    ),
    Wrong(
        "delivery_missing",
        "member {other}",
        ("DELETE FROM delivery WHERE mapping = 'create-or-update-customer' AND person = '{other}'",),
    ),
    Wrong(
        "delivery_out_of_order",
        "delivery {late}",
        ("UPDATE delivery SET finished_at = now() WHERE id = {early}",),
    ),
    Wrong(
        "delivery_out_of_order",
        "delivery {late}",
        ("UPDATE delivery SET status = 'pending', finished_at = NULL WHERE id = {early}",),
        also={"delivery_waiting": {"delivery {early}"}},
    ),
    Wrong("fact_missing", "order {nobodys}", ("DELETE FROM order_fact WHERE order_id = '{nobodys}'",)),
    Wrong("fact_unequal", "order {first}", ("UPDATE order_fact SET total = total + 1 WHERE order_id = '{first}'",)),
    Wrong("fact_unequal", "order {second}", ("UPDATE order_fact SET coupon = NULL WHERE order_id = '{second}'",)),
    Wrong(
        "coupon_used_unequal",
        "order {second}",
        ("UPDATE coupon SET redeemed_at = NULL, redeemed_order_id = NULL WHERE code = '{coupon}'",),
    ),
    Wrong(
        "earned_unpaid",
        "order {small}",
        ("UPDATE orders SET status = 'CANCELED' WHERE id = '{small}'",),
        also={"emission_unexpected": {"order {small}"}},
    ),
    Wrong("movement_missing", "order {first}", ("DELETE FROM point_movement WHERE order_id = '{first}'",)),
    Wrong(
        "movement_unknown",
        "member {other}",
        (
            """INSERT INTO point_movement (transaction_id, member_id, card, type, points, created_at)
               SELECT 'vtx_unknown', id, card, 'POINTS_ACCRUAL', 3, now() FROM member WHERE id = '{other}'""",
        ),
    ),
    Wrong("movement_unequal", "order {first}", ("UPDATE point_movement SET points = 1 WHERE order_id = '{first}'",)),
    Wrong(
        "balance_unequal",
        "member {member}",
        (
            """UPDATE profile SET loyalty = jsonb_set(loyalty, '{{balance}}', '1') FROM profile_identifier
               WHERE profile_id = profile.id AND value = '{member}'""",
        ),
    ),
    Wrong("card_unequal", "member {other}", ("UPDATE member SET card = NULL WHERE id = '{other}'",)),
    Wrong("coupon_missing", "member {member}", ("DELETE FROM coupon WHERE code = '{coupon}'",)),
    Wrong(
        "coupon_unknown",
        "member {other}",
        (
            """INSERT INTO coupon (code, member_id, campaign, title, published_at)
               VALUES ('TEN-X', '{other}', 'Big basket', '', now())""",
        ),
    ),
    Wrong("points_missing", "points 00000000-0000-0000-0000-000000000001", (OPERATION,)),
]
"""In our own tables."""

THERE = [
    Wrong(
        "order_not_paid",
        "order {small}",
        ("UPDATE customer_order SET status = 'CREATED' WHERE source_id = '{small}'",),
    ),
    Wrong("order_not_paid", "order {small}", ("DELETE FROM customer_order WHERE source_id = '{small}'",)),
    Wrong(
        "order_unequal",
        "order {small}",
        ("UPDATE customer_order SET doc = jsonb_set(doc, '{{total_amount}}', '1') WHERE source_id = '{small}'",),
    ),
    Wrong(
        "redemption_missing",
        "order {second}",
        ("UPDATE customer_order SET doc = doc - 'redemptions' WHERE source_id = '{second}'",),
    ),
    Wrong(
        "redemption_doubled",
        "order {second}",
        (
            """UPDATE customer_order SET doc = jsonb_set(doc, '{{redemptions,r_again}}', '{{"date": "x"}}')
               WHERE source_id = '{second}'""",
        ),
    ),
    Wrong(
        "redemption_left",
        "order {refused}",
        (
            """INSERT INTO customer_order (id, source_id, status, total_amount, doc, created_at)
               VALUES ('ord_x', '{refused}', 'CREATED', 1, '{{"redemptions": {{"r_1": {{"date": "x"}}}}}}', now())""",
        ),
    ),
    Wrong(
        "earned_twice",
        "order {second}",
        (
            """INSERT INTO point_transaction (id, voucher_id, campaign_id, type, points, details, created_at)
               SELECT 'vtx_again', voucher_id, campaign_id, type, points, jsonb_set(details, '{{balance,balance}}',
                      to_jsonb((details->'balance'->>'balance')::int + points)), created_at
               FROM point_transaction WHERE details->'order'->>'source_id' = '{second}'""",
        ),
        also={"movement_missing": {"order {second}"}, "balance_unequal": {"member {member}"}},
    ),
    Wrong(
        "earned_nothing",
        "order {small}",
        (
            "DELETE FROM point_transaction WHERE details->'order'->>'source_id' = '{small}'",
            "UPDATE publication SET created_at = now() + interval '1 hour' WHERE source_id IS NULL",
            """UPDATE publication SET doc = jsonb_set(doc, '{{created_at}}', to_jsonb(now() + interval '1 hour'))
               WHERE source_id IS NULL""",
        ),
        also={"movement_unknown": {"member {other}"}, "balance_unequal": {"member {other}"}},
    ),
    Wrong(
        "ledger_unequal",
        "member {member}",
        (
            """UPDATE point_transaction SET details = jsonb_set(details, '{{balance,balance}}', '1')
               WHERE details->'order'->>'source_id' = '{first}'""",
        ),
    ),
    Wrong(
        "publication_doubled",
        "member {member}",
        (
            "ALTER TABLE publication DROP CONSTRAINT publication_source_id_key",
            """INSERT INTO publication (id, source_id, customer_id, campaign_id, voucher_ids, doc, created_at)
               SELECT 'pub_again', source_id, customer_id, campaign_id, voucher_ids, doc, created_at
               FROM publication WHERE source_id = 'big-basket:{first}'""",
        ),
    ),
]
"""In Voucherify."""

HELD = [
    ("order_pending", "UPDATE orders SET status = 'PENDING' WHERE id = '{refused}'"),
    ("order_to_recheck", "UPDATE orders SET recheck_at = now() WHERE id = '{refused}'"),
    ("emission_waiting", "UPDATE emission SET status = 'pending' WHERE message_id = 'order-completed:{first}'"),
    ("emission_dead", "UPDATE emission SET status = 'dead' WHERE message_id = 'order-completed:{first}'"),
    ("event_waiting", "UPDATE log_cursor SET position = 0"),
    (
        "event_poison",
        "INSERT INTO poison_event (event_position, error, created_at) SELECT max(position), 'x', now() FROM event",
    ),
    ("delivery_waiting", "UPDATE delivery SET status = 'pending', finished_at = NULL WHERE id = {late}"),
    ("delivery_failed", "UPDATE delivery SET status = 'failed' WHERE id = {late}"),
    ("delivery_unclear", "UPDATE delivery SET status = 'unclear' WHERE id = {late}"),
    ("webhook_waiting", "UPDATE webhook SET status = 'pending' WHERE id = (SELECT max(id) FROM webhook)"),
    ("webhook_failed", "UPDATE webhook SET status = 'failed' WHERE id = (SELECT max(id) FROM webhook)"),
    (
        "balance_unsettled",
        """UPDATE profile SET loyalty = loyalty || '{{"unsettled": true}}' FROM profile_identifier
           WHERE profile_id = profile.id AND value = '{member}'""",
    ),
    ("points_waiting", OPERATION.replace("DONE", "PENDING")),
    ("points_unclear", OPERATION.replace("DONE", "UNCLEAR")),
]
"""What waits or is held, in our own tables."""
