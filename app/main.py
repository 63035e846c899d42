"""The web process: `create_app(settings)` is the only place that knows every part. `python -m app.main` runs it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import js_lib_htmx
import swagger_ui
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.di import Provide
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig

import app.console.deliveries
import app.console.destinations
import app.console.destinations_api
import app.console.filters_api
import app.console.floor
import app.console.health
import app.console.home
import app.console.jobs
import app.console.mappings
import app.console.mappings_api
import app.console.replays
import app.console.replays_screens
import app.console.routes
import app.console.sources
import app.console.sources_api
import app.console.unclear
import app.members.routes
import app.points.routes
import app.segment.bridge_door
import app.segment.routes
import app.webhooks.routes
import mobile_api.routes
import pos_simulator.routes
from app import openapi
from app.admission import Admission
from app.auth.principal import guard, provide_principal, refuse_routes_without_role
from app.console.sources_live import Feed
from app.db.session import open_database
from app.db.wake import Wakeups
from app.destinations.catalogue import CATALOGUE
from app.destinations.environment import environment
from app.destinations.web import WebTransport
from app.errors import LoyaltyError
from app.live.listener import listening
from app.live.stream import Watcher
from app.orders.checkout import Checkout
from app.pipeline.dry_runs import DryRuns
from app.pipeline.registry import Registry
from app.points.operations import Points
from app.preflight import preflight
from app.problems import problems
from app.segment.backlog import Backlog
from app.segment.intake import Intake
from app.segment.limits import Pace
from app.segment.write_keys import WriteKeys
from app.serve import serve
from app.settings import Settings, load_settings
from app.telemetry import configure_logging, log
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1

ROOT = Path(__file__).parent.parent
SCREENS = {"console": ROOT / "app/console", "pos": ROOT / "pos_simulator", "phone": ROOT / "mobile_api"}
# Browser libraries come out of wheels and are served from there: everything works with no network.
LIBRARIES = {
    "htmx": Path(js_lib_htmx.__file__).parent / "static/htmx",
    "swagger": Path(swagger_ui.__file__).parent / "static",
}
MAX_BODY = 1024 * 1024


def create_app(settings: Settings) -> Litestar:
    """Put the parts together."""
    database = open_database(settings)
    voucherify = Client.of(settings)
    channels = ChannelsPlugin(
        MemoryChannelsBackend(), arbitrary_channels_allowed=True, subscriber_max_backlog=1000, subscriber_class=Watcher
    )
    intake = Intake(database, settings.worker.partitions)
    wakeups = Wakeups(database.url)
    web, dry_runs = WebTransport.of(settings), DryRuns(database)

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        async with wakeups.listening(), listening(database, wakeups, channels), intake.running():
            log.info("web.started", url=settings.public_url)
            yield
        await dry_runs.close()
        await web.close()
        await voucherify.close()
        await database.close()

    made = Litestar(
        route_handlers=[
            app.segment.routes.router,
            *([app.segment.bridge_door.router] if settings.segment_webhook_secret else []),
            *([app.webhooks.routes.router] if settings.webhook_secret else []),
            app.console.health.router,
            app.members.routes.router,
            app.points.routes.router,
            pos_simulator.routes.router,
            mobile_api.routes.router,
            app.console.floor.router,
            app.console.home.router,
            app.console.routes.router,
            app.console.unclear.router,
            app.console.deliveries.router,
            app.console.replays.router,
            app.console.replays_screens.router,
            app.console.jobs.router,
            app.console.destinations.router,
            app.console.mappings.router,
            app.console.destinations_api.router,
            app.console.filters_api.router,
            app.console.mappings_api.router,
            app.console.sources.router,
            app.console.sources_api.router,
            *(
                create_static_files_router(path=f"/static/{name}", directories=[folder], opt={"role": "public"})
                for name, folder in {**LIBRARIES, **{name: at / "static" for name, at in SCREENS.items()}}.items()
            ),
        ],
        guards=[guard],
        middleware=[Admission({"v1": settings.listen.door_at_once}, settings.listen.web_at_once)],
        dependencies={"principal": Provide(provide_principal)},
        plugins=[problems, channels],
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(templates())),
        openapi_config=openapi.CONFIG,
        lifespan=[running],
        logging_config=None,
        request_max_body_size=MAX_BODY,
    )
    made.state.update(
        settings=settings,
        database=database,
        voucherify=voucherify,
        channels=channels,
        intake=intake,
        backlog=Backlog(database, settings.listen.door_most_waiting),
        pace=Pace.of(settings.listen.door_events_per_second),
        write_keys=WriteKeys(database),
        wakeups=wakeups,
        feed=Feed(database, wakeups),
        registry=Registry(database, CATALOGUE, environment(settings)),
        transports={"voucherify": voucherify, "web": web},
        dry_runs=dry_runs,
        checkout=Checkout(database, voucherify, settings.worker.pending_order_after),
        points=Points(database, LoyaltyV1(voucherify), settings.worker.pending_order_after),
    )
    refuse_routes_without_role(made)
    openapi.complete(made)
    return made


def templates() -> Environment:
    """One environment for all screens. A name that a template does not know is an error, not an empty string."""
    folders = [str(folder / "templates") for folder in SCREENS.values()]
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "web")
        asyncio.run(preflight(settings))
        made = create_app(settings)
    except LoyaltyError as error:
        sys.exit(error.sentence)
    serve(made, settings.listen.web_host, settings.listen.web_port, "WEB_PORT")


if __name__ == "__main__":
    main()
