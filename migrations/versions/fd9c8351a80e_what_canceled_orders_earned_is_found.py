"""what canceled orders earned is found."""

import sqlalchemy as sa
from alembic import op

revision = "fd9c8351a80e"
down_revision = "f1faba306804"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_orders_rolled_back",
        "orders",
        ["id"],
        unique=False,
        postgresql_where=sa.text("jsonb_exists(redemption, 'rolled_back')"),
    )
    op.create_index(
        "ix_point_movement_order_id",
        "point_movement",
        ["order_id"],
        unique=False,
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_point_movement_order_id", table_name="point_movement", postgresql_where=sa.text("order_id IS NOT NULL")
    )
    op.drop_index(
        "ix_orders_rolled_back",
        table_name="orders",
        postgresql_where=sa.text("jsonb_exists(redemption, 'rolled_back')"),
    )
