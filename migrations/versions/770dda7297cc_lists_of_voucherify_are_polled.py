"""lists of Voucherify are polled."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "770dda7297cc"
down_revision = "fd9c8351a80e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "polled_card",
        sa.Column("voucher_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("campaign", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("voucher_id", name=op.f("pk_polled_card")),
    )
    op.create_table(
        "polled_list",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("walk", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_polled_list")),
    )


def downgrade() -> None:
    op.drop_table("polled_list")
    op.drop_table("polled_card")
