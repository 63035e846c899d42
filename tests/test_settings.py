"""Settings: what is refused with which sentence, where values come from, and that secrets stay secret."""

import multiprocessing
import stat
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from app.addresses import segmentio_url
from app.errors import SettingError
from app.install import InstallSecrets, install_secrets
from app.setting_groups import variables
from app.settings import Settings, load_settings

LONG = "x" * 40
REAL = {
    "VOUCHERIFY_APPLICATION_ID": "application",
    "VOUCHERIFY_SECRET_KEY": "key-of-the-project",
    "VOUCHERIFY_TRANSPORT": "v1",
}
KEYS = {f"SEGMENT_WRITE_KEY_{slug}": f"write-key-{slug}" for slug in ("TILL", "PHONE", "ONLINE_STORE")}
WRONG: list[tuple[dict[str, str], str, str]] = [
    ({"WEB_PORT": "eighty"}, "WEB_PORT", "eighty"),
    ({"WEB_PORT": "0"}, "WEB_PORT", "greater than"),
    ({"SANDBOX_PORT": "70000"}, "SANDBOX_PORT", "70000"),
    ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL", "LOUD"),
    ({"LOG_FORMAT": "xml"}, "LOG_FORMAT", "xml"),
    ({"DATA_REGION": "mars"}, "DATA_REGION", "mars"),
    ({"DATABASE_POOL": "1"}, "DATABASE_POOL", "greater than"),
    ({"DATABASE_URL": "mysql://u:hunter2@h/loyalty"}, "DATABASE_URL", "postgresql://"),
    ({"DATABASE_URL": "loyalty"}, "DATABASE_URL", "postgresql://"),
    ({"DATABASE_URL": "postgresql+asyncpg://u:hunter2@h/loyalty"}, "DATABASE_URL", "postgresql://"),
    ({"DATABASE_URL": "postgresql://u:hunter2@h:port/loyalty"}, "DATABASE_URL", "postgresql://"),
    ({"DATABASE_URL": "postgresql://u:hunter2@h"}, "DATABASE_URL", "/name"),
    ({"SANDBOX_DATABASE_URL": "sqlite:///x"}, "SANDBOX_DATABASE_URL", "postgresql://"),
    ({"PUBLIC_URL": "shop.example"}, "PUBLIC_URL", "shop.example"),
    ({"PUBLIC_URL": "https://shop.example:port"}, "PUBLIC_URL", "https://host:port"),
    ({"SANDBOX_URL": "http://[::1"}, "SANDBOX_URL", "http://[::1"),
    ({"SEGMENT_HOST": "ftp://events"}, "SEGMENT_HOST", "ftp://events"),
    ({"VOUCHERIFY_TRANSPORT": "v9"}, "VOUCHERIFY_TRANSPORT", "v9"),
    ({"VOUCHERIFY_TIMEOUT": "0"}, "VOUCHERIFY_TIMEOUT", "greater than"),
    ({**REAL, "VOUCHERIFY_API_URL": "api.voucherify.io"}, "VOUCHERIFY_API_URL", "https://host"),
    ({**REAL, "VOUCHERIFY_SEGMENTIO_URL": "segmentio"}, "VOUCHERIFY_SEGMENTIO_URL", "https://host"),
    ({"VOUCHERIFY_APPLICATION_ID": "a"}, "VOUCHERIFY_SECRET_KEY", "sandbox"),
    ({"VOUCHERIFY_API_URL": "https://api.voucherify.io"}, "VOUCHERIFY_APPLICATION_ID", "sandbox"),
    ({**REAL, "VOUCHERIFY_TRANSPORT": "segmentio"}, "VOUCHERIFY_INTEGRATION_APPLICATION_ID", "integration key"),
    ({"SEGMENT_HOST": "segment", **KEYS}, "DATA_REGION", "eu or us"),
    ({"SEGMENT_HOST": "https://api.segment.io"}, "SEGMENT_WRITE_KEY_TILL", "write key"),
    ({"SEGMENT_WRITE_KEY_PHONE": "k"}, "SEGMENT_WRITE_KEY_PHONE", "SEGMENT_HOST"),
    ({"AUTH_SECRET": "short"}, "AUTH_SECRET", "32"),
    ({"AUTH_DEVELOPMENT_SIGN_IN": "perhaps"}, "AUTH_DEVELOPMENT_SIGN_IN", "perhaps"),
    ({"WORKER_LEASE": "inf"}, "WORKER_LEASE", "less than"),
    ({"WORKER_ORDER_HOLD": "inf"}, "WORKER_ORDER_HOLD", "less than"),
    ({"WORKER_PARTITIONS": "0"}, "WORKER_PARTITIONS", "greater than"),
    ({"WORKER_PENDING_ORDER_AFTER": "nan"}, "WORKER_PENDING_ORDER_AFTER", "nan"),
    ({"WORKER_PENDING_ORDER_AFTER": "10"}, "WORKER_PENDING_ORDER_AFTER", "longer than VOUCHERIFY_TIMEOUT"),
    ({"VOUCHERIFY_TIMEOUT": "31"}, "VOUCHERIFY_TIMEOUT", "redemption"),
    ({"AUTH_SECRET_FILE": "/nowhere/secret"}, "AUTH_SECRET_FILE", "/nowhere/secret"),
]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to start in, and no setting from outside."""
    monkeypatch.chdir(tmp_path)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return tmp_path


def load(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> Settings:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(
    ("given", "variable", "said"), WRONG, ids=[f"{variable}-{index}" for index, (_, variable, _) in enumerate(WRONG)]
)
def test_a_wrong_value_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], variable: str, said: str
) -> None:
    """Each wrong value is refused by one sentence that names the variable and shows no password."""
    with pytest.raises(SettingError) as caught:
        load(monkeypatch, given)
    sentence = caught.value.sentence
    assert variable in sentence
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    "given",
    [
        {"DATA_REGION": "eu", "VOUCHERIFY_API_URL": "https://us1.api.voucherify.io"},
        {"DATA_REGION": "us", "VOUCHERIFY_API_URL": "https://api.voucherify.io"},
        {"DATA_REGION": "eu", "VOUCHERIFY_API_URL": "https://as1.api.voucherify.io"},
        {"DATA_REGION": "eu", "SEGMENT_HOST": "https://api.segment.io", **KEYS},
        {"VOUCHERIFY_SEGMENTIO_URL": "https://us1.segmentio.voucherify.io"},
        {"SEGMENT_HOST": "https://api.segment.io", **KEYS},
        {
            "VOUCHERIFY_API_URL": "https://us1.api.voucherify.io",
            "SEGMENT_HOST": "https://events.eu1.segmentapis.com",
            **KEYS,
        },
    ],
    ids=range(7),
)
def test_a_mix_of_regions_stops_the_start(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    """Segment, Voucherify and DATA_REGION in two regions are refused, and the sentence says which is where."""
    with pytest.raises(SettingError, match="regions differ") as caught:
        load(monkeypatch, {**REAL, **given})
    assert all(name in caught.value.sentence for name in given if name in {"DATA_REGION", "SEGMENT_HOST"})


@pytest.mark.parametrize(
    ("region", "voucherify", "door", "segment"),
    [
        ("eu", "https://api.voucherify.io", "https://segmentio.voucherify.io", "https://events.eu1.segmentapis.com"),
        ("us", "https://us1.api.voucherify.io", "https://us1.segmentio.voucherify.io", "https://api.segment.io"),
    ],
)
def test_one_region_picks_all_hosts(
    monkeypatch: pytest.MonkeyPatch, region: str, voucherify: str, door: str, segment: str
) -> None:
    """DATA_REGION alone gives the hosts of Voucherify, of its door for Segment, and of Segment."""
    settings = load(monkeypatch, {**REAL, **KEYS, "SEGMENT_HOST": "segment", "DATA_REGION": region})
    assert settings.voucherify_api_url == voucherify
    assert settings.voucherify_segmentio_url == door
    assert settings.segment_host == segment
    assert (settings.uses_sandbox, settings.own_door, settings.webhook_secret) == (False, False, None)
    assert settings.development_sign_in is False


@pytest.mark.parametrize(
    ("api", "door"),
    [
        ("https://api.voucherify.io", "https://segmentio.voucherify.io"),
        ("https://us1.api.voucherify.io", "https://us1.segmentio.voucherify.io"),
        ("https://acme.dedicated.api.voucherify.io:8443/x", "https://acme.dedicated.segmentio.voucherify.io:8443/x"),
        ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("http://sandbox.voucherify.local:8100", "http://sandbox.voucherify.local:8100"),
        ("http://rapid.apis.example", "http://rapid.apis.example"),
    ],
)
def test_the_door_for_segment_is_derived(api: str, door: str) -> None:
    """Only a whole label `api` of the host becomes `segmentio`; port and path stay."""
    assert segmentio_url(api) == door


def test_nothing_set_means_the_sandbox(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """With no setting at all the sandbox, our own door and the install's secrets are used, and all processes agree."""
    settings = load(monkeypatch, {})
    made = install_secrets(alone / ".data")
    assert settings.uses_sandbox
    assert settings.own_door
    assert settings.voucherify_api_url == settings.voucherify_segmentio_url == "http://127.0.0.1:8100"
    assert settings.segment_host == settings.public_url == "http://127.0.0.1:8000"
    assert settings.voucherify_secret_key.get_secret_value() == made.sandbox_secret_key
    assert settings.webhook_secret is not None
    assert settings.webhook_secret.get_secret_value() == made.sandbox_webhook_secret
    assert settings.auth_secret.get_secret_value() == made.auth_secret
    assert settings.development_sign_in
    assert settings.data_dir == alone / ".data"


def test_a_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """`NAME_FILE` in the environment gives the secret without its line end, and beats `NAME` in `.env`."""
    (alone / "secret").write_text(LONG + "\n")
    (alone / ".env").write_text(f"AUTH_SECRET={'e' * 40}\n")
    settings = load(monkeypatch, {"AUTH_SECRET_FILE": str(alone / "secret")})
    assert settings.auth_secret.get_secret_value() == LONG


def test_a_secret_file_can_be_named_in_dotenv(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """`NAME_FILE` works in `.env` as well: it is not ignored in silence."""
    (alone / "secret").write_text(LONG)
    (alone / ".env").write_text(f"AUTH_SECRET_FILE={alone / 'secret'}\n")
    assert load(monkeypatch, {}).auth_secret.get_secret_value() == LONG


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_bad_secret_file_stops_the_start(monkeypatch: pytest.MonkeyPatch, alone: Path, content: bytes) -> None:
    """An empty secret file, or one that is not text, is refused: an empty key would let anybody sign."""
    (alone / "secret").write_bytes(content)
    with pytest.raises(SettingError, match=r"^VOUCHERIFY_WEBHOOK_SECRET_FILE names"):
        load(monkeypatch, {"VOUCHERIFY_WEBHOOK_SECRET_FILE": str(alone / "secret")})


def test_the_environment_wins_over_dotenv(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """A value in the environment beats `.env`, and an empty one counts as not set."""
    (alone / ".env").write_text("WEB_PORT=8001\nWORKER_PORT=8201\n")
    settings = load(monkeypatch, {"WEB_PORT": "8002", "WORKER_PORT": ""})
    assert (settings.listen.web_port, settings.listen.worker_port) == (8002, 8201)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("VOUCHERIFY_APLICATION_ID=x", "VOUCHERIFY_APPLICATION_ID"),
        ("database_urls=x", "DATABASE_URL"),
        ("AUTH_SECRET_FIL=x", "AUTH_SECRET_FILE"),
        ("WEB_PORT_FILE=x", "WEB_PORT"),
    ],
)
def test_a_misspelt_name_in_dotenv_is_named(
    monkeypatch: pytest.MonkeyPatch, alone: Path, line: str, meant: str
) -> None:
    """A name in `.env` that is no setting is refused with the one that was probably meant."""
    (alone / ".env").write_text(line + "\n")
    with pytest.raises(SettingError, match=rf"Did you mean {meant}\?$") as caught:
        load(monkeypatch, {})
    assert line.partition("=")[0] in caught.value.sentence


def test_names_of_others_may_be_in_dotenv(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """Names that resemble none of ours are left alone: Compose reads the same file."""
    (alone / ".env").write_text("POSTGRES_PASSWORD=x\nCOMPOSE_PROJECT_NAME=y\nWEB_PORT=8001\n")
    assert load(monkeypatch, {}).listen.web_port == 8001


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """Neither given secrets nor made ones are in the text of the settings, so that logging them leaks nothing."""
    secrets = {
        "DATABASE_URL": "postgresql://u:hunter2@h/loyalty",
        "VOUCHERIFY_APPLICATION_ID": "s-application",
        "VOUCHERIFY_SECRET_KEY": "s-secret",
        "VOUCHERIFY_INTEGRATION_APPLICATION_ID": "s-integration",
        "VOUCHERIFY_INTEGRATION_SECRET_KEY": "s-integration-secret",
        "VOUCHERIFY_WEBHOOK_SECRET": "s-webhook",
        "AUTH_SECRET": LONG,
    }
    for settings in (load(monkeypatch, {}), load(monkeypatch, secrets)):
        made = install_secrets(alone / ".data")
        for shown in (repr(settings), str(settings), f"{settings}"):
            for secret in (*secrets.values(), *vars(made).values(), "hunter2"):
                assert secret not in shown
        assert made.auth_secret not in repr(made)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"auth_secret": "x"}'])
def test_a_damaged_install_file_stops_the_start(monkeypatch: pytest.MonkeyPatch, alone: Path, content: str) -> None:
    """A damaged install.json is named in a sentence: it is never overwritten, for the keys in it are in use."""
    (alone / ".data").mkdir()
    (alone / ".data/install.json").write_text(content)
    with pytest.raises(SettingError, match=r"^DATA_DIR is .*install\.json is damaged"):
        load(monkeypatch, {})
    assert (alone / ".data/install.json").read_text() == content


def test_a_data_dir_that_is_a_file_stops_the_start(monkeypatch: pytest.MonkeyPatch, alone: Path) -> None:
    """A DATA_DIR that can't be a folder is refused by its name."""
    (alone / "taken").write_text("")
    with pytest.raises(SettingError, match=r"^DATA_DIR is "):
        load(monkeypatch, {"DATA_DIR": str(alone / "taken")})


def _install_together(barrier: Barrier, folder: Path, found: "Queue[list[InstallSecrets]]") -> None:
    made = []
    for turn in range(20):
        barrier.wait(20)
        made.append(install_secrets(folder / str(turn)))
    found.put(made)


def test_install_secrets_are_made_once_by_many(alone: Path) -> None:
    """Processes that start at the same moment read the same secrets, from one file that only its owner can read."""
    spawn = multiprocessing.get_context("spawn")
    barrier, found = spawn.Barrier(4), spawn.Queue()
    processes = [spawn.Process(target=_install_together, args=(barrier, alone, found)) for _ in range(4)]
    for process in processes:
        process.start()
    made = [found.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(10)
    found.close()
    found.join_thread()
    for turn, together in enumerate(zip(*made, strict=True)):
        assert len({tuple(vars(each).values()) for each in together}) == 1
        assert len(set(vars(together[0]).values())) == 6
        assert all(len(value) >= 32 for value in vars(together[0]).values())
        assert [path.name for path in (alone / str(turn)).iterdir()] == ["install.json"]
        assert stat.S_IMODE((alone / str(turn) / "install.json").stat().st_mode) == 0o600
