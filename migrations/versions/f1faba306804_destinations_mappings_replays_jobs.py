"""destinations and mappings are rows, and replays, jobs and schemas."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "f1faba306804"
down_revision = "49e53bd2d177"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "configuration",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_configuration_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configuration")),
    )
    op.create_table(
        "destination",
        sa.Column("slug", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("settings", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_destination")),
    )
    op.create_table(
        "event_schema",
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "type", "name", name=op.f("pk_event_schema")),
    )
    op.create_table(
        "job",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("every", sa.Float(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("milliseconds", sa.Float(), nullable=True),
        sa.Column("result", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job")),
    )
    op.create_table(
        "mapping_version",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("mapping_id", sa.BigInteger(), nullable=False),
        sa.Column("destination", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("slug", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("change", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("action", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("trigger", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mapping", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("changed_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mapping_version")),
        sa.UniqueConstraint("mapping_id", "version", name=op.f("uq_mapping_version_mapping_id_version")),
    )
    op.create_table(
        "property_schema",
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("types", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "type", "name", "path", name=op.f("pk_property_schema")),
    )
    op.create_table(
        "reject_count",
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "code", "hour", name=op.f("pk_reject_count")),
    )
    op.create_table(
        "replay",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("destination", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("selection", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("function", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("twice", sa.Boolean(), nullable=False),
        sa.Column("note", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("until_id", sa.BigInteger(), nullable=False),
        sa.Column("at_id", sa.BigInteger(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("made_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("idempotency_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay")),
        sa.UniqueConstraint("made_by", "idempotency_key", name=op.f("uq_replay_made_by_idempotency_key")),
    )
    op.create_table(
        "destination_filter",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("destination", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("condition", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("paths", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("percent", sa.Float(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('sample', 'drop', 'drop_properties', 'allow_properties')", name=op.f("ck_destination_filter_kind")
        ),
        sa.ForeignKeyConstraint(
            ["destination"], ["destination.slug"], name=op.f("fk_destination_filter_destination"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destination_filter")),
    )
    op.create_index(op.f("ix_destination_filter_destination"), "destination_filter", ["destination"], unique=False)
    op.create_table(
        "mapping",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("destination", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("slug", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("action", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("trigger", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mapping", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["destination"], ["destination.slug"], name=op.f("fk_mapping_destination")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mapping")),
        sa.UniqueConstraint("destination", "slug", name=op.f("uq_mapping_destination_slug")),
    )
    op.add_column("delivery", sa.Column("replay_id", sa.BigInteger(), nullable=True))
    op.add_column("delivery", sa.Column("attempts_after", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_delivery_created_at",
        "delivery",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )
    op.create_index("ix_delivery_person", "delivery", ["person", "id"], unique=False)
    op.create_index(
        "ix_delivery_replay_id",
        "delivery",
        ["replay_id", "status"],
        unique=False,
        postgresql_where=sa.text("replay_id IS NOT NULL"),
    )
    op.add_column("destination_state", sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("destination_state", sa.Column("rest_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("destination_state", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("destination_state", sa.Column("paused_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.create_index("ix_webhook_failed", "webhook", ["id"], postgresql_where=sa.text("status = 'failed'"))
    op.add_column("reject", sa.Column("address", sqlmodel.sql.sqltypes.AutoString(), nullable=True))


def downgrade() -> None:
    op.drop_column("reject", "address")
    op.drop_index("ix_webhook_failed", table_name="webhook", postgresql_where=sa.text("status = 'failed'"))
    op.drop_column("destination_state", "paused_by")
    op.drop_column("destination_state", "paused_at")
    op.drop_column("destination_state", "rest_until")
    op.drop_column("destination_state", "failing_since")
    op.drop_index("ix_delivery_replay_id", table_name="delivery", postgresql_where=sa.text("replay_id IS NOT NULL"))
    op.drop_index("ix_delivery_person", table_name="delivery")
    op.drop_index(
        "ix_delivery_created_at",
        table_name="delivery",
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )
    op.drop_column("delivery", "attempts_after")
    op.drop_column("delivery", "replay_id")
    op.drop_table("mapping")
    op.drop_index(op.f("ix_destination_filter_destination"), table_name="destination_filter")
    op.drop_table("destination_filter")
    op.drop_table("replay")
    op.drop_table("reject_count")
    op.drop_table("property_schema")
    op.drop_table("mapping_version")
    op.drop_table("job")
    op.drop_table("event_schema")
    op.drop_table("destination")
    op.drop_table("configuration")
