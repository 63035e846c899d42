"""The groups of settings: each variable with its type, its default and its meaning. `app.settings` resolves them."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.addresses import Region
from app.errors import SettingError

Port = Annotated[int, Field(ge=1, le=65535)]
LONGEST = 30 * 86400.0
"""Seconds: no wait is longer than 30 days."""


class _SecretFiles(PydanticBaseSettingsSource):
    """`NAME_FILE` for every secret: the way Docker and Kubernetes hand over secrets."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base class's signature
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        given = {**dotenv_values(".env"), **os.environ}
        for name, field in self.settings_cls.model_fields.items():
            variable = variable_of(self.settings_cls, name) + "_FILE"
            path = given.get(variable)
            if path and is_secret(field):
                values[name] = _read_secret(variable, path)
        return values


class Group(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _SecretFiles(settings_cls), dotenv_settings


class GeneralSettings(Group):
    data_dir: Path = Path(".data")
    """Where the embedded Postgres and the secrets of this install live."""
    data_region: Region | None = None
    """Picks the hosts of Segment and Voucherify; a mix of regions stops the start."""
    public_url: str = ""
    """The address under which others reach the web process. Unset: `http://WEB_HOST:WEB_PORT`."""
    webhook_allowed_hosts: str = ""
    """Hosts that destinations may be at although their addresses are not public: `host` or `host:port`, with commas."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"


class DatabaseSettings(Group):
    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`. Unset: the embedded Postgres."""
    sandbox_database_url: SecretStr | None = None
    """The sandbox's own database. Unset: database `sandbox` on the same server."""
    database_pool: Annotated[int, Field(ge=2, le=200)] = 15
    """Connections that one process may hold."""


class ListenSettings(Group):
    web_host: str = "127.0.0.1"
    web_port: Port = 8000
    worker_host: str = "127.0.0.1"
    worker_port: Port = 8200
    """Health and metrics of the worker."""
    sandbox_host: str = "127.0.0.1"
    sandbox_port: Port = 8100
    sandbox_url: str = ""
    """The address of the sandbox. Unset: `http://SANDBOX_HOST:SANDBOX_PORT`."""
    web_at_once: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Requests that write, of each part of the API, that one web process works on at the same time."""
    door_at_once: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Likewise of the door: 500 KB each, and what they unpack to."""
    door_most_waiting: Annotated[int, Field(ge=1)] = 1_000_000
    """Events that may be stored and not routed yet; while there are more, the door answers 429."""
    door_events_per_second: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Messages that one write key may send to one web process; beyond, the door answers 429. Unset: no limit."""


class VoucherifySettings(Group):
    model_config = SettingsConfigDict(env_prefix="VOUCHERIFY_")

    api_url: str = ""
    application_id: SecretStr | None = None
    secret_key: SecretStr | None = None
    integration_application_id: SecretStr | None = None
    """An integration key (Integration = Segment): its quota is a separate one. Used by the `segmentio` transport."""
    integration_secret_key: SecretStr | None = None
    transport: Literal["segmentio", "v1"] = "segmentio"
    """The road of the three official actions: Voucherify's door for Segment, or the public `/v1`."""
    segmentio_url: str = ""
    """Unset: `api_url` with the word `api` in its host replaced by `segmentio`."""
    webhook_secret: SecretStr | None = None
    """Signs the webhooks that Voucherify sends. Unset outside sandbox mode: there is no webhook endpoint."""
    timeout: Annotated[float, Field(gt=0, le=180)] = 10.0
    """Seconds until a call counts as unanswered."""
    calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Calls that deliveries of all workers may make in a minute, spread evenly. Unset: as many as Voucherify takes."""
    poll_every: Annotated[float, Field(ge=1, le=86_400)] | None = None
    """Seconds between two looks at Voucherify's lists, where its webhooks can't come. Unset: webhooks only."""
    poll_calls: Annotated[int, Field(ge=5, le=10_000)] = 20
    """Calls that one such look makes at most; the next one goes on where it ended. The codes of one publication are
    asked for together, however many they are."""


class SegmentSettings(Group):
    model_config = SettingsConfigDict(env_prefix="SEGMENT_")

    host: str = ""
    """Where emissions go. Unset: our own door. The word `segment`: Segment's host in `DATA_REGION`."""
    write_key_till: SecretStr | None = None
    write_key_phone: SecretStr | None = None
    write_key_online_store: SecretStr | None = None
    write_key_voucherify: SecretStr | None = None
    """What Voucherify tells us goes to Segment under this key. Unset with real Segment: Voucherify's own integration
    with Segment does that."""
    webhook_secret: SecretStr | None = None
    """The shared secret of a Webhooks destination in Segment. Unset: there is no `/bridge/segment`."""


class AuthSettings(Group):
    model_config = SettingsConfigDict(env_prefix="AUTH_")

    secret: SecretStr | None = None
    """Signs member tokens and screen sessions. Unset: made once per install."""
    development_sign_in: bool | None = None
    """Sign-in by phone number alone, and the floor signed in by itself. Unset: only while the sandbox is used."""


class WorkerSettings(Group):
    model_config = SettingsConfigDict(env_prefix="WORKER_")

    partitions: Annotated[int, Field(ge=1, le=1024)] = 8
    """Shares of the event log that workers divide among them. Must be the same everywhere; never shrink it."""
    lanes: Annotated[int, Field(ge=1, le=1000)] = 16
    """Lanes that one worker delivers at the same time."""
    functions: Annotated[int, Field(ge=1, le=32)] = 2
    """Processes that run insert functions."""
    lease: Annotated[float, Field(ge=1, le=300)] = 10.0
    """Seconds after which the share of a worker that died is taken over."""
    order_hold: Annotated[float, Field(ge=0, le=LONGEST)] = 300.0
    """Seconds that a delivery which fails for its own reasons may hold up the later ones of its person."""
    delivery_budget: Annotated[float, Field(ge=1, le=LONGEST)] = 4 * 3600.0
    """Seconds of trying after which a delivery is given up."""
    retry_first: Annotated[float, Field(ge=0.01, le=LONGEST)] = 0.5
    """Seconds until a delivery that failed is tried again; each next wait is twice as long, give or take a third."""
    retry_longest: Annotated[float, Field(ge=0.01, le=LONGEST)] = 300.0
    """Seconds that such a wait has at most."""
    pending_order_after: Annotated[float, Field(ge=1, le=LONGEST)] = 30.0
    """Seconds after which the sweeper takes up an order that is still PENDING. Longer than `VOUCHERIFY_TIMEOUT`."""


class KeepSettings(Group):
    """How long rows are kept that nobody waits for any more, in days."""

    model_config = SettingsConfigDict(env_prefix="KEEP_")

    events_days: Annotated[int, Field(ge=7, le=36_500)] = 90
    """Events, sent emissions, and what insert functions did once. An event outlives its deliveries, whatever is set."""
    message_ids_days: Annotated[int, Field(ge=1, le=36_500)] = 7
    """For so long a `messageId` that comes again is taken for a repetition."""
    rejects_days: Annotated[int, Field(ge=1, le=36_500)] = 7
    """Messages that the door refused; how many there were is kept for 30 days."""
    deliveries_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    """Deliveries that ended well, with their attempts and the results of their insert functions."""
    webhooks_days: Annotated[int, Field(ge=3, le=36_500)] = 30
    """Webhooks that were applied or ignored. Voucherify repeats one for two days at most."""


GROUPS: tuple[type[Group], ...] = (
    GeneralSettings,
    DatabaseSettings,
    ListenSettings,
    VoucherifySettings,
    SegmentSettings,
    AuthSettings,
    WorkerSettings,
    KeepSettings,
)


def variables() -> dict[str, Any]:
    """The name of every environment variable that is a setting, with its default."""
    return {variable_of(group, name): field.default for group in GROUPS for name, field in group.model_fields.items()}


def variable_of(group: type[BaseSettings], name: str) -> str:
    return f"{group.model_config.get('env_prefix', '')}{name}".upper()


def is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def _read_secret(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except OSError as error:
        raise SettingError(f"{variable} names {path}, which can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{variable} names {path}, which is not text.") from error
    if not value:
        raise SettingError(f"{variable} names {path}, which is empty.")
    return value
