"""The floor where development sign-in is off: nobody is signed in by opening a page."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from app.auth.principal import SESSION_COOKIE
from tests.conftest import MakeDatabase
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="module")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    folder = tmp_path_factory.mktemp("sign_in")
    async with open_web(folder, await make_database("sign_in"), AUTH_DEVELOPMENT_SIGN_IN="false") as opened:
        yield opened


async def sign_in(web: Web, client: httpx.AsyncClient, **keys: str) -> httpx.Response:
    return await client.post("/sign-in", data=keys)


async def test_a_stranger_gets_a_form_and_nothing_else(web: Web) -> None:
    """The page asks for keys and sets no session; signing in by phone number alone does not exist."""
    async with web.client() as stranger:
        page = await stranger.get("/")
        phone = await stranger.post("/phone/sign-in", json={"phone": "+48601234567"})
    assert 'name="register"' in page.text
    assert "/pos/floor" not in page.text
    assert "set-cookie" not in page.headers
    assert phone.status_code == 404


async def test_a_register_key_opens_the_till_but_not_the_road(web: Web) -> None:
    """A till sells; what happens behind it is for operators."""
    async with web.client() as cashier:
        answer = await sign_in(web, cashier, register=web.register_keys["warsaw/2"])
        assert answer.status_code == 303
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=strict" in answer.headers["set-cookie"]
        page = await cashier.get("/")
        till, road = await cashier.get("/pos/floor"), await cashier.get("/floor/road")
    assert "/pos/floor" in page.text
    assert "/floor/road" not in page.text
    assert (till.status_code, road.status_code) == (200, 403)


async def test_an_operator_key_beside_it_opens_the_road(web: Web) -> None:
    """With both keys the floor is whole."""
    async with web.client() as both:
        await sign_in(web, both, register=web.register_keys["warsaw/2"], operator=web.operator_key)
        assert "/floor/road" in (await both.get("/")).text
        assert (await both.get("/floor/road")).status_code == 200


async def test_an_operator_key_alone_opens_the_console(web: Web) -> None:
    """Who looks after the programme needs no till: the console opens, and the till stays shut."""
    async with web.client() as operator:
        answer = await sign_in(web, operator, operator=web.operator_key)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        assert "Home" in (await operator.get("/console")).text
        assert (await operator.get("/pos/floor")).status_code == 403


async def test_a_key_of_another_kind_opens_nothing(web: Web) -> None:
    """A wrong key, or one of another role in its place, is 401 with a sentence, and no session."""
    till = web.register_keys["warsaw/2"]
    for keys in ({"register": "guess"}, {"register": web.admin_token}, {"register": till, "operator": till}, {}):
        async with web.client() as client:
            answer = await sign_in(web, client, **keys)
            assert answer.status_code == 401
            assert 'role="alert"' in answer.text
            assert SESSION_COOKIE not in client.cookies
