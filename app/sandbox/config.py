"""What the sandbox needs to know to start; made from the project's settings, or by a test directly."""

from dataclasses import dataclass, replace

from app.db import embedded
from app.install import install_secrets
from app.settings import Settings


@dataclass(frozen=True, repr=False)
class SandboxConfig:
    """Everything about one sandbox. No `repr`: the keys must not reach a log."""

    database_url: str
    application_id: str
    secret_key: str
    integration_application_id: str
    integration_secret_key: str
    webhook_secret: str
    webhook_targets: tuple[str, ...] = ()
    """Addresses that get every webhook, registered at the first start; `POST /sandbox/webhooks` changes them."""
    url: str = "http://127.0.0.1:8100"
    """The address of this sandbox, for links in answers."""
    webhook_timeout: float = 10.0
    """Seconds that a receiver has to answer; Voucherify gives 10."""
    time_zone: str = "UTC"
    """The project's time zone: by it days begin, at midnight points expire and tiers change."""
    calls_per_minute: int = 2000
    """What the rate-limit headers count down from (plan "Organization") while `/sandbox/limits` limits nothing."""

    @classmethod
    def of(cls, settings: Settings, database_url: str | None = None) -> "SandboxConfig":
        """The sandbox of this install, with the keys that web and worker use when they use the sandbox.

        Without a `database_url` it is that of the settings, for which the embedded Postgres is started if need be.
        """
        made = install_secrets(settings.data_dir)
        config = cls(
            database_url=_database_url(settings) if database_url is None else database_url,
            application_id=made.sandbox_application_id,
            secret_key=made.sandbox_secret_key,
            integration_application_id=made.sandbox_integration_application_id,
            integration_secret_key=made.sandbox_integration_secret_key,
            webhook_secret=made.sandbox_webhook_secret,
            webhook_targets=(f"{settings.public_url}/webhooks/voucherify",),
            url=settings.sandbox_url,
        )
        if not settings.uses_sandbox or settings.webhook_secret is None:
            return config
        return replace(
            config,
            integration_application_id=settings.voucherify_integration_application_id.get_secret_value(),
            integration_secret_key=settings.voucherify_integration_secret_key.get_secret_value(),
            webhook_secret=settings.webhook_secret.get_secret_value(),
        )


def _database_url(settings: Settings) -> str:
    given = settings.database.sandbox_database_url
    if given is not None:
        return given.get_secret_value()
    main = settings.database.database_url
    server = main.get_secret_value() if main is not None else embedded.start(settings.data_dir)
    return embedded.database_url(server, "sandbox")
