"""Every setting, in small groups, from the environment and `.env` (the environment wins).

A secret can come from a file as well: `NAME_FILE=/run/secrets/x` reads `NAME` from it. What is not set is resolved by
`load_settings`: no `DATABASE_URL` means the embedded Postgres, no `VOUCHERIFY_*` the sandbox, no `SEGMENT_HOST` our
own door. A wrong value stops the start with one sentence that names the variable. `.env.example` lists them all.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from app.addresses import (
    SEGMENT_HOSTS,
    VOUCHERIFY_HOSTS,
    Region,
    refuse_mixed_regions,
    refuse_no_database,
    segmentio_url,
    web_address,
)
from app.errors import SettingError
from app.install import InstallSecrets, install_secrets
from app.setting_groups import (
    GROUPS,
    AuthSettings,
    DatabaseSettings,
    GeneralSettings,
    KeepSettings,
    ListenSettings,
    SegmentSettings,
    VoucherifySettings,
    WorkerSettings,
    is_secret,
    variable_of,
    variables,
)

SHORTEST_SECRET = 32
"""Letters: what HMAC-SHA256 needs, so that its tokens can't be forged."""


@dataclass(frozen=True)
class Settings:
    """All groups, resolved: no value here is a question any more."""

    general: GeneralSettings
    database: DatabaseSettings
    listen: ListenSettings
    worker: WorkerSettings
    keep: KeepSettings
    public_url: str
    sandbox_url: str
    uses_sandbox: bool
    segment_host: str
    own_door: bool
    segment_webhook_secret: SecretStr | None
    segment_write_keys: dict[str, SecretStr]
    """By the slug of the source; only those that were given."""
    voucherify_api_url: str
    voucherify_segmentio_url: str
    voucherify_transport: Literal["segmentio", "v1"]
    voucherify_timeout: float
    voucherify_calls_per_minute: int | None
    poll_every: float | None
    poll_calls: int
    voucherify_application_id: SecretStr
    voucherify_secret_key: SecretStr
    voucherify_integration_application_id: SecretStr
    voucherify_integration_secret_key: SecretStr
    webhook_secret: SecretStr | None
    auth_secret: SecretStr
    development_sign_in: bool

    @property
    def data_dir(self) -> Path:
        return self.general.data_dir.absolute()


def load_settings() -> Settings:
    """Read and resolve the settings, or raise `SettingError` with a sentence that names the variable."""
    _refuse_unknown_names()
    try:
        general, database, listen = GeneralSettings(), DatabaseSettings(), ListenSettings()
        voucherify, segment, auth, worker = VoucherifySettings(), SegmentSettings(), AuthSettings(), WorkerSettings()
        keep = KeepSettings()
    except ValidationError as error:
        raise SettingError(_sentence(error)) from error
    refuse_no_database("DATABASE_URL", database.database_url)
    refuse_no_database("SANDBOX_DATABASE_URL", database.sandbox_database_url)
    if voucherify.timeout >= worker.pending_order_after:
        raise SettingError(
            f"WORKER_PENDING_ORDER_AFTER ({worker.pending_order_after:g} s) must be longer than VOUCHERIFY_TIMEOUT "
            f"({voucherify.timeout:g} s): an order may not be taken up while its redemption can still be answered."
        )
    if auth.secret and len(auth.secret) < SHORTEST_SECRET:
        raise SettingError(f"AUTH_SECRET is too short: it must have {SHORTEST_SECRET} characters at least.")
    made = _install(general.data_dir.absolute())
    public_url = web_address("PUBLIC_URL", general.public_url or f"http://{listen.web_host}:{listen.web_port}")
    sandbox_url = web_address(
        "SANDBOX_URL", listen.sandbox_url or f"http://{listen.sandbox_host}:{listen.sandbox_port}"
    )
    uses_sandbox = not (voucherify.api_url or voucherify.application_id or voucherify.secret_key)
    if not uses_sandbox:
        for name in ("application_id", "secret_key"):
            if getattr(voucherify, name) is None:
                raise SettingError(
                    f"VOUCHERIFY_{name.upper()} is not set, but other VOUCHERIFY_ settings are. "
                    "Set it, or unset them all to use the sandbox."
                )
        if voucherify.transport == "segmentio" and not (
            voucherify.integration_application_id and voucherify.integration_secret_key
        ):
            raise SettingError(
                "VOUCHERIFY_INTEGRATION_APPLICATION_ID and VOUCHERIFY_INTEGRATION_SECRET_KEY are needed by "
                "VOUCHERIFY_TRANSPORT=segmentio: make an integration key (Integration: Segment) in Voucherify's "
                "project settings, or set VOUCHERIFY_TRANSPORT=v1."
            )
    region: Region = general.data_region or "eu"
    api_url = (
        sandbox_url
        if uses_sandbox
        else web_address("VOUCHERIFY_API_URL", voucherify.api_url or VOUCHERIFY_HOSTS[region])
    )
    if segment.host == "segment":
        if general.data_region is None:
            raise SettingError("DATA_REGION must be eu or us when SEGMENT_HOST=segment.")
        segment_host = SEGMENT_HOSTS[region]
    else:
        segment_host = web_address("SEGMENT_HOST", segment.host or public_url)
    segmentio = (
        web_address("VOUCHERIFY_SEGMENTIO_URL", voucherify.segmentio_url)
        if voucherify.segmentio_url
        else segmentio_url(api_url)
    )
    refuse_mixed_regions(general.data_region, api_url, voucherify.segmentio_url, segment_host)
    keys = {
        "till": segment.write_key_till,
        "phone": segment.write_key_phone,
        "online-store": segment.write_key_online_store,
        "voucherify": segment.write_key_voucherify,
    }
    own_door = not segment.host
    for slug, key in keys.items():
        variable = f"SEGMENT_WRITE_KEY_{slug.replace('-', '_').upper()}"
        if not own_door and key is None and slug != "voucherify":
            raise SettingError(f"{variable} is not set, and SEGMENT_HOST is: set the write key of that source.")
        if own_door and key is not None:
            # Our door would answer 200 and take nothing in: it has write keys of its own making.
            raise SettingError(f"{variable} is set, but SEGMENT_HOST is not: set both, or neither to use our own door.")

    def key_or(given: SecretStr | None, sandbox: str) -> SecretStr:
        return given or SecretStr(sandbox if uses_sandbox else "")

    return Settings(
        general=general,
        database=database,
        listen=listen,
        worker=worker,
        keep=keep,
        public_url=public_url,
        sandbox_url=sandbox_url,
        uses_sandbox=uses_sandbox,
        segment_host=segment_host,
        own_door=own_door,
        segment_webhook_secret=segment.webhook_secret,
        segment_write_keys={slug: value for slug, value in keys.items() if value is not None},
        voucherify_api_url=api_url,
        voucherify_segmentio_url=segmentio,
        voucherify_transport=voucherify.transport,
        voucherify_timeout=voucherify.timeout,
        voucherify_calls_per_minute=voucherify.calls_per_minute,
        poll_every=voucherify.poll_every,
        poll_calls=voucherify.poll_calls,
        voucherify_application_id=key_or(voucherify.application_id, made.sandbox_application_id),
        voucherify_secret_key=key_or(voucherify.secret_key, made.sandbox_secret_key),
        voucherify_integration_application_id=key_or(
            voucherify.integration_application_id, made.sandbox_integration_application_id
        ),
        voucherify_integration_secret_key=key_or(
            voucherify.integration_secret_key, made.sandbox_integration_secret_key
        ),
        webhook_secret=voucherify.webhook_secret or (SecretStr(made.sandbox_webhook_secret) if uses_sandbox else None),
        auth_secret=auth.secret or SecretStr(made.auth_secret),
        development_sign_in=uses_sandbox if auth.development_sign_in is None else auth.development_sign_in,
    )


def _install(data_dir: Path) -> InstallSecrets:
    try:
        return install_secrets(data_dir)
    except OSError as error:
        raise SettingError(f"DATA_DIR is {data_dir}, which can't be used: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise SettingError(
            f"DATA_DIR is {data_dir}, whose install.json is damaged: bring it back or remove it."
        ) from error


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    group = next(group for group in GROUPS if group.__name__ == error.title)
    name = str(first["loc"][0])
    shown = "" if is_secret(group.model_fields[name]) else f" (it is {first['input']!r})"
    return f"{variable_of(group, name)} is not valid{shown}: {first['msg'][0].lower()}{first['msg'][1:]}."


_OUR_PREFIXES = ("AUTH_", "DATABASE_", "DOOR_", "KEEP_", "SANDBOX_", "SEGMENT_", "VOUCHERIFY_", "WEB_", "WORKER_")


def _refuse_unknown_names() -> None:
    """A misspelt name in `.env` would be ignored in silence: say which one, and what was probably meant.

    Names that resemble none of ours are others', as Compose's `POSTGRES_PASSWORD`.
    """
    known = set(variables())
    known |= {
        f"{variable_of(group, name)}_FILE"
        for group in GROUPS
        for name, field in group.model_fields.items()
        if is_secret(field)
    }
    for name in dotenv_values(".env"):
        near = difflib.get_close_matches(name.upper().removesuffix("_FILE"), known, n=1, cutoff=0.8)
        if name not in known and (near or name.upper().startswith(_OUR_PREFIXES)):
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingError(f".env sets {name}, which is not a setting.{hint}")
