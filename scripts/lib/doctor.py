"""./scripts/doctor: whether this install can work with its Voucherify (or sandbox), check by check.

Each check is a function that asks one thing and answers a finding; a finding that is no good says what to click.
Nothing is changed anywhere. Exit code 0: all is well, perhaps with hints; 1: something fails; 2: it could not be
checked at all.
"""

import argparse
import ipaddress
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from app.demo.programme import FILE
from app.destinations.voucherify.transport import segmentio
from app.errors import LoyaltyError
from app.programmes import file as programmes
from app.settings import Settings, load_settings
from app.voucherify.signature import sign
from scripts.lib.say import say

TIMEOUT = 10.0
TUNNEL = "docs/how-to/use-a-tunnel.md"
PATH = "/webhooks/voucherify"
REGIONS = "https://api.voucherify.io (EU), https://us1.api.voucherify.io (US), https://as1.api.voucherify.io (Asia)"


@dataclass(frozen=True)
class Finding:
    """What one check came to."""

    check: str
    state: Literal["ok", "hint", "fail", "skipped"]
    said: str
    click: str = ""
    """What to do, where something is to be done."""


class Asking:
    """The calls of the doctor, with the keys of this install; each address is asked once."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self.settings = settings
        self.http = httpx.Client(timeout=TIMEOUT, follow_redirects=False, transport=transport)
        self._known: dict[str, httpx.Response] = {}

    def api(self, path: str) -> httpx.Response:
        """A GET of the public API. Raises what httpx raises when nobody answers."""
        if path not in self._known:
            keys = {
                "X-App-Id": self.settings.voucherify_application_id.get_secret_value(),
                "X-App-Token": self.settings.voucherify_secret_key.get_secret_value(),
            }
            self._known[path] = self.http.get(self.settings.voucherify_api_url + path, headers=keys)
        return self._known[path]

    @property
    def limit(self) -> str:
        """Calls a minute, as the first answer said; empty where it did not."""
        heard = self._known.get("/v1/campaigns?limit=1")
        return "" if heard is None else heard.headers.get("x-rate-limit-limit", "")

    @property
    def engine(self) -> str:
        return "the sandbox" if self.settings.uses_sandbox else "Voucherify"


def keys(asking: Asking) -> Finding:
    """The application key, and the region: it is refused elsewhere."""
    url = asking.settings.voucherify_api_url
    try:
        answer = asking.api("/v1/campaigns?limit=1")
    except httpx.HTTPError as error:
        start = (
            "Start the sandbox: ./scripts/demo, or .venv/bin/python -m app.sandbox."
            if asking.settings.uses_sandbox
            else "Check the network and its proxy, and DATA_REGION or VOUCHERIFY_API_URL."
        )
        return Finding("keys", "fail", f"{url} does not answer ({type(error).__name__}).", start)
    if answer.status_code == 401:
        return Finding(
            "keys",
            "fail",
            f"{url} does not accept VOUCHERIFY_APPLICATION_ID and VOUCHERIFY_SECRET_KEY.",
            "Voucherify: Project settings, General, Application keys: copy both again, with no space around them. "
            "A key of another project or cluster is refused in the same way.",
        )
    if answer.status_code == 403:
        said = _said(answer)
        if "region" in said.lower():
            return Finding(
                "keys",
                "fail",
                f"The project is not in the region of {url}: {said}",
                f"Voucherify: Project settings, General: the region stands beside the project's name. Set "
                f"VOUCHERIFY_API_URL (and VOUCHERIFY_SEGMENTIO_URL) to its host: {REGIONS}.",
            )
        return Finding(
            "keys",
            "fail",
            f"The key may not read campaigns: {said}",
            "Voucherify: Project settings, Application keys: use a server-side key with all permissions.",
        )
    if answer.status_code == 429:
        return Finding("keys", "hint", "The keys are right, and the plan's limit is used up.", "Ask again in a minute.")
    if not answer.is_success:
        return Finding("keys", "fail", f"{url} answered {answer.status_code}: {_said(answer)}", "Ask again later.")
    return Finding("keys", "ok", f"{asking.engine} at {url} takes the application key.")


def plan(asking: Asking) -> Finding:
    """What the plan allows, by the rate headers of an answer."""
    headers = asking.api("/v1/campaigns?limit=1").headers
    limit, left = headers.get("x-rate-limit-limit", ""), headers.get("x-rate-limit-remaining", "?")
    if not limit.isdigit():
        return Finding(
            "plan",
            "hint",
            "The answer has no X-Rate-Limit headers, so the limit can't be followed.",
            "Does a proxy stand between? Let it pass those headers, or set VOUCHERIFY_CALLS_PER_MINUTE to the plan's.",
        )
    ours = asking.settings.voucherify_calls_per_minute
    said = f"{int(limit):,} calls a minute, {left} left now."
    if ours is not None and ours > int(limit):
        return Finding(
            "plan",
            "fail",
            f"{said} VOUCHERIFY_CALLS_PER_MINUTE is {ours:,}.",
            f"Set VOUCHERIFY_CALLS_PER_MINUTE to {limit} or less.",
        )
    return Finding("plan", "ok", f"{said} What that carries: ./scripts/capacity --plan {limit}/minute")


def loyalty(asking: Asking) -> Finding:
    """Which of the two loyalty engines the account has; this backend speaks v1."""
    answer = asking.api("/v1/loyalties?limit=1")
    if answer.is_success:
        return Finding("loyalty", "ok", "The project has loyalty v1 (/v1/loyalties).")
    v2 = asking.api("/v2/loyalties/programs?limit=1")
    if v2.is_success:
        return Finding(
            "loyalty",
            "fail",
            "The project has loyalty v2 only, which this backend does not speak yet.",
            "Unset VOUCHERIFY_* to use the sandbox, or use a project of an organisation that had loyalty before July "
            "2026. Voucherify's support can say whether legacy loyalty can be switched on.",
        )
    said = f"/v1/loyalties answered {answer.status_code} ({_said(answer)}), /v2/loyalties {v2.status_code}."
    return Finding("loyalty", "fail", said, "Voucherify: is Loyalty a part of the plan, and may the key read it?")


def schema(asking: Asking) -> Finding:
    """Whether the metadata that the demo's mappings send is defined: the door for Segment drops the rest."""
    answer = asking.api("/v1/metadata-schemas")
    if not answer.is_success:
        return Finding(
            "schema",
            "hint",
            f"The metadata schema can't be read ({answer.status_code}).",
            "Voucherify: may the key read metadata schemas? Without it this check is left out.",
        )
    defined = {each.get("related_object"): each.get("properties") or {} for each in answer.json().get("schemas", [])}
    missing = [
        f"{related}.{name} ({kind})"
        for related, properties in programmes.load(FILE).metadata_schemas.items()
        for name, kind in properties.items()
        if name not in defined.get(related, {})
    ]
    if not missing:
        return Finding("schema", "ok", "Everything that the shipped mappings send is defined.")
    if asking.settings.voucherify_transport == "v1":
        return Finding("schema", "ok", "VOUCHERIFY_TRANSPORT=v1 keeps metadata without a schema.")
    click = (
        "Run .venv/bin/python -m app.seed."
        if asking.settings.uses_sandbox
        else "Voucherify: Project settings, Metadata schema: add them with these types, and those of your own mappings."
    )
    return Finding("schema", "hint", f"Not defined, so dropped without a word: {', '.join(missing)}.", click)


def integration(asking: Asking) -> Finding:
    """The integration key, by the question that Segment itself asks."""
    settings = asking.settings
    if settings.voucherify_transport == "v1":
        return Finding("integration", "skipped", "VOUCHERIFY_TRANSPORT=v1 uses the application key for all.")
    request = segmentio(
        {
            "apiKey": settings.voucherify_integration_application_id.get_secret_value(),
            "secretKey": settings.voucherify_integration_secret_key.get_secret_value(),
            "customURL": settings.voucherify_segmentio_url,
        },
        "test-authentication",
        None,
        "GET",
    )
    try:
        answer = asking.http.get(request.url, headers=dict(request.headers))
    except httpx.HTTPError as error:
        return Finding(
            "integration",
            "fail",
            f"{settings.voucherify_segmentio_url} does not answer ({type(error).__name__}).",
            "Start the sandbox."
            if settings.uses_sandbox
            else "Check VOUCHERIFY_SEGMENTIO_URL: unset, it is the API's host with `segmentio` for `api`.",
        )
    if answer.status_code in {401, 403}:
        return Finding(
            "integration",
            "fail",
            f"The door for Segment refuses the integration key ({answer.status_code}).",
            "Voucherify: Project settings, General, Integration keys: make one with Integration = Segment and copy "
            "both parts to VOUCHERIFY_INTEGRATION_APPLICATION_ID and VOUCHERIFY_INTEGRATION_SECRET_KEY. An application "
            "key is not one. Or set VOUCHERIFY_TRANSPORT=v1.",
        )
    if answer.status_code >= 500:
        return Finding("integration", "fail", f"The door for Segment answered {answer.status_code}.", "Ask later.")
    return Finding("integration", "ok", f"The door for Segment at {settings.voucherify_segmentio_url} takes the key.")


def feed(asking: Asking) -> Finding:
    """By which feed we hear what happened there."""
    settings = asking.settings
    if settings.poll_every is None:
        return Finding("feed", "ok", "Webhooks alone tell what happened; no list is polled.")
    most = settings.poll_calls * 60 / settings.poll_every
    said = (
        f"{asking.engine[:1].upper()}{asking.engine[1:]}'s lists are polled every {settings.poll_every:g} s, with "
        f"{most:.0f} calls a minute at most; webhooks that come are taken as well."
    )
    limit = asking.limit
    if limit.isdigit() and most > int(limit) / 2:
        click = f"Raise VOUCHERIFY_POLL_EVERY or lower VOUCHERIFY_POLL_CALLS: {TUNNEL}."
        return Finding("feed", "hint", f"{said} That is more than half of the plan's {int(limit):,}.", click)
    return Finding("feed", "ok", said)


def _does_without(asking: Asking) -> bool:
    """Whether webhooks can't come and need not: polls bring what they would."""
    settings = asking.settings
    hidden = not settings.uses_sandbox and _is_private(urlsplit(settings.public_url).hostname or "")
    return settings.poll_every is not None and (hidden or settings.webhook_secret is None)


def webhook_address(asking: Asking) -> Finding:
    """Whether Voucherify can reach PUBLIC_URL, as far as its name tells."""
    url = asking.settings.public_url
    if _does_without(asking):
        return Finding("webhook address", "skipped", "Voucherify's lists are polled, so it needs no way to here.")
    if asking.settings.uses_sandbox:
        return Finding("webhook address", "ok", f"The sandbox reaches {url} on this machine.")
    host = urlsplit(url).hostname or ""
    if _is_private(host):
        return Finding(
            "webhook address",
            "fail",
            f"PUBLIC_URL is {url}, which Voucherify can't reach: points and coupons would not come back.",
            f"Use a tunnel and set PUBLIC_URL to its address, or set VOUCHERIFY_POLL_EVERY: {TUNNEL}.",
        )
    if not url.startswith("https://"):
        return Finding("webhook address", "hint", f"PUBLIC_URL is {url}: no https.", "Put a certificate before it.")
    return Finding("webhook address", "ok", f"Webhooks go to {url}{PATH}.")


def webhook_secret(asking: Asking) -> Finding:
    """Whether the web process answers there, and takes what is signed with our secret and nothing else.

    What is sent is no JSON, so that it is never stored: a fitting signature is answered 400, another one 401.
    """
    settings = asking.settings
    if _does_without(asking):
        return Finding("webhook secret", "skipped", "No webhook is expected.")
    if settings.webhook_secret is None:
        return Finding(
            "webhook secret",
            "fail",
            "VOUCHERIFY_WEBHOOK_SECRET is not set, so there is no endpoint for webhooks.",
            "Voucherify: Project settings, Webhooks: copy the secret key shown there, and start web and worker again.",
        )
    body = b"a question of ./scripts/doctor"
    secret = settings.webhook_secret.get_secret_value()
    try:
        wrong, right = (
            asking.http.post(
                settings.public_url + PATH, content=body, headers={"x-voucherify-signature": signature}
            ).status_code
            for signature in ("0" * 64, sign(secret, body))
        )
    except httpx.HTTPError as error:
        return Finding(
            "webhook secret",
            "fail",
            f"{settings.public_url} does not answer from here ({type(error).__name__}).",
            f"Start web: ./scripts/demo. Does the tunnel or the proxy before it lead to it? {TUNNEL}",
        )
    if (wrong, right) == (401, 400):
        return Finding("webhook secret", "ok", "The web process takes what is signed with this secret, nothing else.")
    if right == 401:
        said = "The web process has another webhook secret than these settings."
        return Finding("webhook secret", "fail", said, "Start web and worker again with the same settings.")
    said = f"{settings.public_url}{PATH} answered {wrong} and {right} instead of 401 and 400."
    return Finding("webhook secret", "fail", said, "Is another program, or a page of the tunnel, at that address?")


def webhooks_come(asking: Asking) -> Finding:
    """Whether they are sent: the sandbox tells; of a real project only its own pages do."""
    settings = asking.settings
    if _does_without(asking):
        return Finding("webhooks", "skipped", "No webhook is expected.")
    if not settings.uses_sandbox:
        return Finding(
            "webhooks",
            "hint",
            "Whether they are sent can't be asked by an ordinary key.",
            f"Voucherify: Project settings, Webhooks: version v2024-01-01, address {settings.public_url}{PATH}, "
            "active, with customer.rewarded.loyalty_points, voucher.loyalty_card.transaction.created, "
            "publication.succeeded and redemption.succeeded; then `Send test`. And a distribution for "
            "customer.order.paid.",
        )
    try:
        rows = asking.http.get(f"{settings.sandbox_url}/sandbox/webhooks").json()["data"]
    except httpx.HTTPError:
        return Finding("webhooks", "skipped", "The sandbox does not answer.")
    ours = [row for row in rows if row["target_url"] == settings.public_url + PATH]
    if not ours:
        return Finding(
            "webhooks",
            "fail",
            f"The sandbox sends none to {settings.public_url}{PATH}.",
            f'POST {{"target_url": …}} to {settings.sandbox_url}/sandbox/webhooks, or start the sandbox again.',
        )
    off = [row["name"] for row in ours if not row["active"]]
    if off:
        said = f"Switched off after failing for a day: {', '.join(off)}."
        return Finding("webhooks", "fail", said, "POST the same address to /sandbox/webhooks: that switches it on.")
    waiting = sum(row["waiting"] for row in ours)
    trouble = next((row["last_trouble"] for row in ours if row["last_trouble"]), None)
    if trouble:
        return Finding("webhooks", "hint", f"{waiting} wait; the last trouble was {trouble}.", "Does web run?")
    return Finding("webhooks", "ok", f"The sandbox sends to {settings.public_url}{PATH}; {waiting} wait.")


CHECKS: tuple[Callable[[Asking], Finding], ...] = (
    keys,
    plan,
    loyalty,
    schema,
    integration,
    feed,
    webhook_address,
    webhook_secret,
    webhooks_come,
)
NEED_KEYS = frozenset({plan, loyalty, schema})


def examine(settings: Settings, transport: httpx.BaseTransport | None = None) -> list[Finding]:
    """Every check, in order. What needs the API is skipped when the API can't be used."""
    asking = Asking(settings, transport)
    findings: list[Finding] = []
    reached = True
    for check in CHECKS:
        name = {"webhooks_come": "webhooks"}.get(check.__name__, check.__name__.replace("_", " "))
        if check in NEED_KEYS and not reached:
            findings.append(Finding(name, "skipped", "It needs the keys to be right."))
            continue
        try:
            found = check(asking)
        except (httpx.HTTPError, ValueError, KeyError, AttributeError, TypeError, LoyaltyError) as error:
            # An answer that is no JSON or has another shape: a proxy's page, say.
            found = Finding(name, "fail", f"It can't be checked: {type(error).__name__}: {error}", "Ask again.")
        if check is keys:
            reached = found.state == "ok"
        findings.append(found)
    asking.http.close()
    return findings


def _said(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200]
    told = [str(body[name]) for name in ("message", "details") if body.get(name)] if isinstance(body, dict) else []
    return ": ".join(told) or answer.text[:200]


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = load_settings()
    except LoyaltyError as error:
        say(error.sentence)
        return 2
    findings = examine(settings)
    well = not any(found.state == "fail" for found in findings)
    if options.json:
        shown: dict[str, Any] = {"ok": well, "findings": [asdict(found) for found in findings]}
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        for found in findings:
            print(f"{found.state:8} {found.check:16} {found.said}")
            if found.click and found.state != "ok":
                print(f"{'':25} → {found.click}")
    return 0 if well else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/doctor",
        description="Check this install against its Voucherify or sandbox: keys and region, the plan's limit, loyalty "
        "v1 or v2, the metadata schema, the integration key, and whether webhooks can come and are taken. Each failure "
        "says what to click. It only reads, with at most six calls; the settings are those of web and worker.",
        epilog="Exit code: 0 all is well, perhaps with hints; 1 something fails; 2 the settings can't be read.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
