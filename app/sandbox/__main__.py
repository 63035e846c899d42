"""`python -m app.sandbox`: the sandbox on its own port, until SIGTERM or Ctrl-C."""

import sys

from app.errors import LoyaltyError
from app.sandbox.app import create_app
from app.sandbox.config import SandboxConfig
from app.serve import serve
from app.settings import load_settings
from app.telemetry import configure_logging


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "sandbox")
        config = SandboxConfig.of(settings)
    except LoyaltyError as error:
        sys.exit(error.sentence)
    serve(create_app(config), settings.listen.sandbox_host, settings.listen.sandbox_port, "SANDBOX_PORT")


if __name__ == "__main__":
    main()
