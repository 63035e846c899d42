"""The transport to the open net, on real sockets: what it refuses to call, and that nothing a receiver does hurts."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.destinations.addresses import AllowedHosts
from app.destinations.web import (
    LARGEST_ANSWER,
    WebError,
    WebRefused,
    WebRejectsKeys,
    WebTransport,
    WebUnavailable,
    WebUnclear,
)
from app.errors import DestinationError, LeaseLost
from tests.destinations.receiver import OK, Receiver, answer, receiving

HOST = "hooks.test"


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A name server that gives these addresses for every name."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest_asyncio.fixture
async def web() -> AsyncIterator[WebTransport]:
    """Knows one name, `hooks.test`, which is this machine and allowed; half a second for all of a call."""
    made = WebTransport(AllowedHosts.read(HOST), time_limit=0.5, resolve=resolving("127.0.0.1"))
    yield made
    await made.close()


async def post(web: WebTransport, url: str, body: object = None) -> tuple[int, object]:
    told = await web.send("POST", url, body, {"content-type": "application/json"})
    return told.status, told.answered


async def failed(web: WebTransport, url: str, method: str = "POST") -> WebError:
    with pytest.raises(WebError) as caught:
        await web.send(method, url, {"a": 1}, {})
    assert isinstance(caught.value, DestinationError)
    return caught.value


async def test_a_request_arrives_as_it_was_built(web: WebTransport, receiver: Receiver) -> None:
    """Method, path, query, host, headers and the compact JSON body are there; the answer comes back parsed."""
    receiver.answers = [answer(200, b'{"ok":true}')]
    told = await web.send("PUT", receiver.url(HOST, "/a%20b?c=d#e"), {"é": [1.0, None]}, {"x-own": "1"})
    (got,) = receiver.got
    assert (told.status, told.answered, told.rest) == (200, {"ok": True}, 0.0)
    assert (got.method, got.target, got.body) == ("PUT", "/a%20b?c=d", '{"é":[1,null]}'.encode())
    assert (got.headers["host"], got.headers["x-own"]) == (f"{HOST}:{receiver.port}", "1")


async def test_a_request_without_a_body_says_so(web: WebTransport, receiver: Receiver) -> None:
    """A POST of nothing has the length 0, which many servers insist on."""
    await post(web, receiver.url(HOST))
    assert (receiver.got[0].headers["content-length"], receiver.got[0].body) == ("0", b"")


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "maybe"),
    [
        (302, WebRefused, False, False),
        (400, WebRefused, False, False),
        (401, WebRejectsKeys, False, False),
        (403, WebRejectsKeys, False, False),
        (404, WebRefused, False, False),
        (408, WebUnavailable, True, True),
        (410, WebRefused, False, False),
        (423, WebUnavailable, True, False),
        (429, WebUnavailable, True, False),
        (500, WebUnavailable, True, True),
        (501, WebRefused, False, False),
        (502, WebUnclear, True, True),
        (503, WebUnavailable, True, False),
        (504, WebUnclear, True, True),
    ],
)
async def test_each_answer_is_an_error_of_its_kind(
    web: WebTransport, receiver: Receiver, status: int, kind: type[WebError], retryable: bool, maybe: bool
) -> None:
    """By status, with the receiver's name and words in the sentence and its answer kept."""
    receiver.answers = [answer(status, b'{"why":"because"}', retry_after="7")]
    error = await failed(web, receiver.url(HOST))
    assert (type(error), error.retryable, error.may_be_done, error.rejects_keys) == (
        kind,
        retryable,
        maybe,
        status in {401, 403},
    )
    assert error.sentence == f'{HOST} answered {status}: {{"why":"because"}}'
    assert (error.code, error.answer, error.retry_after) == (status, {"why": "because"}, 7)
    assert error.speaks_for_all is False


async def test_rate_headers_ask_for_rest(web: WebTransport, receiver: Receiver) -> None:
    """A receiver that says when it takes the next call is left alone until then."""
    receiver.answers = [answer(200, x_rate_limit_remaining="0", x_rate_limit_retry=str(time.time() + 30))]
    assert 28 < (await web.send("POST", receiver.url(HOST), {}, {})).rest <= 30


@pytest.mark.parametrize("status", [200, 204, 301, 401, 403, 404, 405, 500, 501])
async def test_a_head_is_answered_by_whoever_is_there(web: WebTransport, receiver: Receiver, status: int) -> None:
    """Whether it likes the question or not: a receiver that takes POSTs only is up."""
    receiver.answers = [answer(status)]
    assert (await web.send("HEAD", receiver.url(HOST), None, {})).status == status


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_head_to_an_overloaded_server_fails(web: WebTransport, receiver: Receiver, status: int) -> None:
    """What only says that a server is not there is no yes."""
    receiver.answers = [answer(status)]
    assert (await failed(web, receiver.url(HOST), "HEAD")).retryable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(web: WebTransport, receiver: Receiver, status: int) -> None:
    """A receiver can't send us somewhere else: the redirect is the answer, and nobody else is called."""
    async with receiving() as other:
        receiver.answers = [answer(status, location=other.url())]
        assert (await failed(web, receiver.url(HOST))).code == status
        assert (len(receiver.got), other.connections) == (1, 0)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.test/",
        "file:///etc/passwd",
        "gopher://hooks.test/",
        "hooks.test",
        "//hooks.test/",
        "https://",
        "https:///path",
        "https://user:the-password@hooks.test/",
        "http://hooks.test:port/",
        "http://hooks.test:99999/",
        "http://[::1/",
        "",
    ],
)
async def test_what_is_no_address_of_the_web_is_refused(web: WebTransport, url: str) -> None:
    """Other schemes, no host, a password in it: refused before anything is resolved, and not quoted."""
    error = await failed(web, url)
    assert (type(error), error.code, "Nothing was sent." in error.sentence) == (WebRefused, 0, True)
    assert "the-password" not in error.sentence


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
    ],
)
async def test_this_machine_is_not_called_in_any_spelling(receiver: Receiver, host: str) -> None:
    """The system's own resolver reads them all as this machine, and what it gives is checked."""
    web = WebTransport(AllowedHosts())
    error = await failed(web, receiver.url(host))
    await web.close()
    assert type(error) in {WebRefused, WebUnavailable}  # a system without IPv6 has no such address
    assert "[::" in host or "not public" in error.sentence
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["93.184.215.14", "127.0.0.1"]],
    ids=" ".join,
)
async def test_a_name_of_a_private_address_is_refused(receiver: Receiver, addresses: list[str]) -> None:
    """A public-looking name that leads inside, alone or among others, is not connected to."""
    web = WebTransport(AllowedHosts(), resolve=resolving(*addresses), time_limit=0.5)
    error = await failed(web, receiver.url("public.example"))
    await web.close()
    assert (type(error), error.retryable, error.code) == (WebRefused, False, 0)
    assert error.sentence.startswith("public.example is at an address that is not public, so nothing was sent.")
    assert receiver.connections == 0


async def test_a_name_that_changes_its_mind_gains_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once for a connection, and the connection goes to what was checked, not to the name."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    monkeypatch.setattr("app.destinations.addresses.is_public", lambda address: address == "127.0.0.2")
    web = WebTransport(AllowedHosts(), resolve=rebinding, time_limit=0.5)
    first = await failed(web, receiver.url("rebinding.example"))  # nobody listens at .2
    second = await failed(web, receiver.url("rebinding.example"))
    await web.close()
    assert (type(first), type(second), len(asked)) == (WebUnavailable, WebRefused, 2)
    assert receiver.connections == 0


async def test_the_next_address_is_tried(receiver: Receiver) -> None:
    """Of several addresses of a name the first that answers is used."""
    web = WebTransport(AllowedHosts.read(HOST), resolve=resolving("127.0.0.3", "127.0.0.1"), time_limit=2)
    assert await post(web, receiver.url(HOST)) == (200, None)
    await web.close()


async def test_a_name_that_there_is_not_is_tried_again() -> None:
    """A name server's trouble passes; nothing was sent."""
    web = WebTransport(AllowedHosts())
    for host in ("there-is-no-such-host.invalid", f"{'a' * 64}.invalid"):
        error = await failed(web, f"http://{host}/")
        assert (type(error), error.may_be_done, "Nothing was sent" in error.sentence) == (WebUnavailable, False, True)
    await web.close()


async def test_a_name_server_that_hangs_is_not_waited_for() -> None:
    """The look-up counts against the limit of the call."""

    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    web = WebTransport(AllowedHosts(), resolve=hang, time_limit=0.2)
    error = await failed(web, "http://hooks.test/")
    await web.close()
    assert (type(error), error.may_be_done) == (WebUnavailable, False)


async def test_nobody_listens(web: WebTransport) -> None:
    """A closed port: certainly nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = await failed(web, f"http://{HOST}:{port}/")
    assert (type(error), error.code, error.may_be_done) == (WebUnavailable, 0, False)


@pytest.mark.parametrize("answers", [[60.0], [b"HTTP/1.1 200 OK\r\n", 60.0]], ids=["silence", "half a head"])
async def test_no_answer_in_time_may_be_done(
    web: WebTransport, receiver: Receiver, answers: list[bytes | float]
) -> None:
    """It was sent, and nobody knows what became of it."""
    receiver.answers = [answers]
    started = time.monotonic()
    error = await failed(web, receiver.url(HOST))
    assert (type(error), error.code, error.may_be_done) == (WebUnclear, 0, True)
    assert error.sentence == f"{HOST} gave no answer within 0.5 s (TimeoutError)."
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("junk", [b"220 smtp ready\r\n", b"\x16\x03\x01", b""], ids=["smtp", "tls", "nothing"])
async def test_what_is_not_http_may_be_done(web: WebTransport, receiver: Receiver, junk: bytes) -> None:
    """Another protocol, or a connection that closes, is no crash."""
    receiver.answers = [[junk]]
    receiver.answers[0].append(0.6)
    assert type(await failed(web, receiver.url(HOST))) is WebUnclear


async def test_a_head_that_drips_ends(web: WebTransport, receiver: Receiver) -> None:
    """A byte now and then does not prolong the call."""
    receiver.answers = [[b"H", *[part for _ in range(100) for part in (0.05, b"T")]]]
    started = time.monotonic()
    assert type(await failed(web, receiver.url(HOST))) is WebUnclear
    assert time.monotonic() - started < 2


async def test_a_body_that_drips_ends_and_counts(web: WebTransport, receiver: Receiver) -> None:
    """The status came in time, so the receiver has it: what was read of the answer until then is kept."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    receiver.answers = [[head, *[part for _ in range(100) for part in (b"x", 0.05)]]]
    started = time.monotonic()
    status, answered = await post(web, receiver.url(HOST))
    assert (status, str(answered).strip("x")) == (200, "")
    assert 0 < len(str(answered)) < 50
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("status", [200, 500])
async def test_a_big_answer_is_cut(receiver: Receiver, status: int) -> None:
    """No more is read than is kept, long before the time is over, and the rest is left to the receiver."""
    web = WebTransport(AllowedHosts.read(HOST), time_limit=60, resolve=resolving("127.0.0.1"))
    head = f"HTTP/1.1 {status} X\r\ncontent-length: 1000000000\r\n\r\n".encode()
    receiver.answers = [[head, *[b"x" * 65536] * 10_000]]
    if status == 200:
        _, answered = await post(web, receiver.url(HOST))
    else:
        error = await failed(web, receiver.url(HOST))
        answered = error.answer
        assert len(error.sentence) < 300
    assert answered == "x" * LARGEST_ANSWER
    await asyncio.wait_for(receiver.cut.wait(), 2)
    await web.close()


async def test_a_compressed_answer_is_not_inflated(web: WebTransport, receiver: Receiver) -> None:
    """We do not ask for one, and one that comes all the same stays as small as it came."""
    receiver.answers = [answer(200, b"\x1f\x8b" + b"\0" * 100, content_encoding="gzip")]
    status, answered = await post(web, receiver.url(HOST))
    assert "accept-encoding" not in receiver.got[0].headers
    assert (status, len(str(answered))) == (200, 102)


async def test_connections_are_kept(web: WebTransport, receiver: Receiver) -> None:
    """Calls to one receiver share a connection, and one that was closed meanwhile is made anew."""
    for _ in range(3):
        await post(web, receiver.url(HOST))
    assert (len(receiver.got), receiver.connections) == (3, 1)
    receiver.answers = [answer(200, connection="close")]
    await post(web, receiver.url(HOST))
    await post(web, receiver.url(HOST))
    assert (len(receiver.got), receiver.connections) == (5, 2)


async def test_cookies_are_not_kept(web: WebTransport, receiver: Receiver) -> None:
    """Nothing of one answer is in the next call."""
    receiver.answers = [answer(200, set_cookie="a=b"), [OK]]
    await post(web, receiver.url(HOST))
    await post(web, receiver.url(HOST))
    assert "cookie" not in receiver.got[1].headers


async def test_the_proxy_of_the_environment_is_not_asked(
    web: WebTransport, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect to what it resolves itself, past the check."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert await post(web, receiver.url(HOST)) == (200, None)


async def test_nothing_leaves_without_the_lane(web: WebTransport, receiver: Receiver) -> None:
    """Asked when the connection is there; a no sends no byte, and the next call is well."""
    with pytest.raises(LeaseLost):
        await web.send("POST", receiver.url(HOST), {}, {}, may_leave=lambda: False)
    assert (receiver.connections, receiver.got) == (1, [])
    await web.send("POST", receiver.url(HOST), {}, {}, may_leave=lambda: True)
    assert len(receiver.got) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of `hooks.test`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_tls_goes_by_the_name(certificate: Path) -> None:
    """The connection is to the address, the certificate and SNI are of the name; another name is refused."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    names: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    trusted = ssl.create_default_context(cafile=str(certificate))
    web = WebTransport(
        AllowedHosts.read(f"{HOST},other.test"), resolve=resolving("127.0.0.1"), trusted=trusted, time_limit=2
    )
    async with receiving(server) as receiver:
        assert await post(web, receiver.url(HOST, scheme="https"), {"a": 1}) == (200, None)
        error = await failed(web, receiver.url("other.test", scheme="https"))
        await web.close()
    assert (names, json.loads(receiver.got[0].body)) == ([HOST, "other.test"], {"a": 1})
    assert (type(error), error.may_be_done, len(receiver.got)) == (WebUnavailable, False, 1)
