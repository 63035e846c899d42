"""what is done can be found by its time, so that it can go."""

import sqlalchemy as sa
from alembic import op

revision = "49e53bd2d177"
down_revision = "d3adbe0b4773"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_event_key_received_at"), table_name="event_key")
    op.create_index(
        op.f("ix_event_key_received_at"),
        "event_key",
        ["received_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )
    op.create_index(
        "ix_delivery_finished",
        "delivery",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('delivered', 'filtered')"),
    )
    op.create_index("ix_emission_dead", "emission", ["id"], unique=False, postgresql_where=sa.text("status = 'dead'"))
    op.create_index(
        "ix_emission_sent", "emission", ["sent_at"], unique=False, postgresql_where=sa.text("status = 'sent'")
    )
    op.create_index(op.f("ix_function_once_created_at"), "function_once", ["created_at"], unique=False)
    op.create_index(
        "ix_webhook_done",
        "webhook",
        ["applied_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('applied', 'ignored')"),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_event_key_received_at"), table_name="event_key")
    op.create_index(op.f("ix_event_key_received_at"), "event_key", ["received_at"], unique=False)
    op.drop_index("ix_webhook_done", table_name="webhook", postgresql_where=sa.text("status IN ('applied', 'ignored')"))
    op.drop_index(op.f("ix_function_once_created_at"), table_name="function_once")
    op.drop_index("ix_emission_sent", table_name="emission", postgresql_where=sa.text("status = 'sent'"))
    op.drop_index("ix_emission_dead", table_name="emission", postgresql_where=sa.text("status = 'dead'"))
    op.drop_index(
        "ix_delivery_finished", table_name="delivery", postgresql_where=sa.text("status IN ('delivered', 'filtered')")
    )
