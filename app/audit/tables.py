"""Whole tables at once: each query gives the rows that are not as they should be, and its sentence says why.

The database compares and we read its answers as a stream: a million good rows cost it seconds, and us nothing.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from app.audit.findings import Finding
from app.audit.rows import Scope, reading
from app.db.session import Database

CHUNK = 500


@dataclass(frozen=True)
class Check:
    """A query for one kind of finding. Its columns are `subject`, `sentence`, `since` (which may be null)."""

    kind: str
    query: str
    own_door: bool = False
    """Whether it can be asked only where the events go to our own door."""


# The parameter of each is the beginning of the scope.
CHECKS: Final = (
    Check(
        "enrolment_missing",
        """SELECT 'member ' || member.id AS subject, 'The outbox has no message that tells of them.' AS sentence,
                  member.created_at AS since
           FROM member LEFT JOIN emission ON message_id = 'member-enrolled:' || member.id
           WHERE member.created_at >= $1 AND emission.id IS NULL""",
    ),
    Check(
        # An order's own event is looked for with the order.
        "event_missing",
        """SELECT 'emission ' || emission.id AS subject, sent_at AS since,
                  emission.message_id || ' was sent, and the log does not have it'
                  || coalesce('; the door refused it: ' || reject.code, '') || '.' AS sentence
           FROM emission LEFT JOIN event ON event.message_id = emission.message_id
           LEFT JOIN reject ON reject.message->'message'->>'messageId' = emission.message_id
           WHERE emission.created_at >= $1 AND emission.status = 'sent' AND event.position IS NULL
           AND NOT (emission.order_id IS NOT NULL AND emission.message->>'event' = 'Order Completed')""",
        own_door=True,
    ),
    Check(
        # An id counts as new again when it has left the window of de-duplication, which is a day at least.
        "event_doubled",
        """SELECT 'event ' || position AS subject, message_id || ' is at ' || before || ' already.' AS sentence,
                  NULL::timestamptz AS since
           FROM (SELECT position, message_id, received_at, lag(position) OVER same AS before,
                        lag(received_at) OVER same AS at
                 FROM event WHERE received_at >= $1 AND (order_id IS NULL OR name IS DISTINCT FROM 'Order Completed')
                 WINDOW same AS (PARTITION BY message_id ORDER BY position)) AS seen
           WHERE received_at - at < interval '1 day'""",
    ),
    Check(
        "delivery_missing",
        """SELECT 'member ' || member.id AS subject, 'Their enrolment, event ' || event.position
                  || ', was routed, and nothing is delivered of it.' AS sentence, event.received_at AS since
           FROM member JOIN event ON event.message_id = 'member-enrolled:' || member.id
           JOIN log_cursor ON consumer = 'route' AND log_cursor.partition = event.partition
           WHERE member.created_at >= $1 AND event.position <= log_cursor.position
           AND NOT EXISTS (SELECT FROM delivery WHERE event_position = event.position)
           AND NOT EXISTS (SELECT FROM poison_event WHERE event_position = event.position)""",
        own_door=True,
    ),
    Check(
        # A row that was passed, or put back by a decision, may come later than its successors.
        "delivery_out_of_order",
        """SELECT 'delivery ' || id AS subject, 'Event ' || event_position || ' went to ' || destination
                  || ' before an earlier one of the same person.' AS sentence, finished_at AS since
           FROM (SELECT id, event_position, destination, finished_at, passed,
                        max(CASE WHEN passed THEN '-infinity' ELSE coalesce(finished_at, 'infinity') END) OVER (
                            PARTITION BY destination, person ORDER BY event_position, id
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
                 FROM delivery WHERE created_at >= $1
                 AND NOT EXISTS (SELECT FROM decision WHERE subject = 'delivery:' || delivery.id)) AS walked
           WHERE NOT passed AND finished_at < earlier""",
    ),
    Check(
        "order_pending",
        """SELECT 'order ' || id AS subject, 'It is PENDING.' AS sentence, touched_at AS since
           FROM orders WHERE status = 'PENDING' AND created_at >= $1""",
    ),
    Check(
        "order_to_recheck",
        """SELECT 'order ' || id AS subject, 'It is canceled, and its redemption may still be carried out.' AS sentence,
                  touched_at AS since
           FROM orders WHERE recheck_at IS NOT NULL AND created_at >= $1""",
    ),
    Check(
        "emission_waiting",
        """SELECT 'emission ' || id AS subject, message_id || ' was tried ' || attempts || ' times'
                  || coalesce('; the last answer: ' || answer, '') || '.' AS sentence, created_at AS since
           FROM emission WHERE status = 'pending' AND created_at >= $1""",
    ),
    Check(
        "emission_dead",
        """SELECT 'emission ' || id AS subject, message_id || ' was refused: ' || coalesce(answer, '') AS sentence,
                  NULL::timestamptz AS since
           FROM emission WHERE status = 'dead' AND created_at >= $1""",
    ),
    Check(
        "event_waiting",
        """SELECT 'event ' || event.position AS subject, event.message_id || ' is not routed.' AS sentence,
                  received_at AS since
           FROM event LEFT JOIN log_cursor ON consumer = 'route' AND log_cursor.partition = event.partition
           WHERE event.position > coalesce(log_cursor.position, 0) AND received_at >= $1""",
    ),
    Check(
        "event_poison",
        """SELECT 'event ' || event_position AS subject, error AS sentence, NULL::timestamptz AS since
           FROM poison_event WHERE created_at >= $1""",
    ),
    Check(
        "delivery_waiting",
        """SELECT 'delivery ' || id AS subject, mapping || ' for ' || person || ' was tried ' || attempts || ' times'
                  || coalesce(': ' || error, '.') AS sentence, created_at AS since
           FROM delivery WHERE status = 'pending' AND created_at >= $1""",
    ),
    *(
        Check(
            f"delivery_{status}",
            f"""SELECT 'delivery ' || id AS subject, NULL::timestamptz AS since,
                       mapping || ' for ' || person || ': ' || coalesce(error, '') AS sentence
                FROM delivery WHERE status = '{status}' AND created_at >= $1""",  # noqa: S608 - words of our own
        )
        for status in ("failed", "unclear")
    ),
    Check(
        "webhook_waiting",
        """SELECT 'webhook ' || id AS subject, type || ' was tried ' || attempts || ' times'
                  || coalesce(': ' || error, '.') AS sentence, received_at AS since
           FROM webhook WHERE status = 'pending' AND received_at >= $1""",
    ),
    Check(
        "webhook_failed",
        """SELECT 'webhook ' || id AS subject, type || ': ' || coalesce(error, '') AS sentence,
                  NULL::timestamptz AS since
           FROM webhook WHERE status = 'failed' AND received_at >= $1""",
    ),
    Check(
        "balance_unsettled",
        """SELECT 'member ' || value AS subject, 'Its movements do not add up to its balance.' AS sentence,
                  updated_at AS since
           FROM profile JOIN profile_identifier ON profile_id = profile.id AND type = 'user_id'
           WHERE jsonb_exists(loyalty, 'unsettled') AND updated_at >= $1""",
    ),
    Check(
        "points_waiting",
        """SELECT 'points ' || id AS subject, kind || ' for member ' || member_id || ' is not done yet.' AS sentence,
                  touched_at AS since
           FROM point_operation WHERE status = 'PENDING' AND created_at >= $1""",
    ),
    Check(
        "points_unclear",
        """SELECT 'points ' || id AS subject, kind || ' for member ' || member_id || ': ' || coalesce(refusal, '')
                  AS sentence, NULL::timestamptz AS since
           FROM point_operation WHERE status = 'UNCLEAR' AND created_at >= $1""",
    ),
)


async def findings(database: Database, scope: Scope, *, own_door: bool) -> AsyncIterator[Finding]:
    """Everything that the checks find."""
    for check in CHECKS:
        if check.own_door and not own_door:
            continue
        async with reading(database) as connection:
            async for row in connection.cursor(check.query, scope.since, prefetch=CHUNK):
                yield Finding(check.kind, row["subject"], row["sentence"], row["since"])
