"""Referral campaigns of a file: what goes over the API, what only the sandbox takes, and what a person does."""

import pytest

from app.programmes import file, trial
from app.programmes.caller import Caller
from app.programmes.file import ProgrammeError
from app.programmes.load import Target, load, plan
from tests.programmes.conftest import ROOT, Place

SHIPPED = (ROOT / "app/programmes/shipped/bring-a-friend.yaml").read_text()
GETS = "    referrer_gets: {campaign: Loyalty Program, points: 300}\n"
TEXT = """
programme: Friends
campaigns:
  - {kind: loyalty, name: Points}
  - {kind: gift, name: Gifts, amount_minor_units: 1000}
  - kind: referral
    name: Bring
    friend_gets: {amount_off_minor_units: 100}
    friend_earns: {campaign: Points, points: 20}
    referrer_gets: {campaign: Gifts, credits_minor_units: 500, at_friends: 2}
tests:
  - name: The second friend brings credits, and each friend has points
    given:
      - member: {name: Mia}
      - coupon: Bring
      - member: {name: Noah}
      - order: {amount_minor_units: 1000}
    then:
      - {member: Noah, points: 0}
"""


async def test_friend_and_referrer_get_what_the_file_says(place: Place) -> None:
    """Points for each friend by redemption, credits for who brought them when the second of them comes."""
    programme = file.read(TEXT, "p.yaml")
    assert (await trial.run(place.own, programme, programme.tests[0])).wrongs == ()
    await load(place.target, programme)
    call, get = place.target.caller.write, place.target.caller.get
    [code] = [each["code"] for each in (await get("/v1/vouchers", {"campaign": "Bring"}))["vouchers"]]
    credits_ = []
    for friend in ("a", "b"):
        body = {"redeemables": [{"object": "voucher", "id": code}], "customer": {"source_id": friend}}
        await call("POST", "/v1/redemptions", {**body, "order": {"amount": 1000}})
        [card] = (await get("/v1/vouchers", {"campaign": "Points", "customer": friend}))["vouchers"]
        assert card["loyalty_card"]["balance"] == 20
        gifts = (await get("/v1/vouchers", {"campaign": "Gifts"}))["vouchers"]
        credits_.append([each["gift"]["balance"] for each in gifts])
    assert credits_ == [[], [1500]]


async def test_what_the_referrer_gets_is_changed(place: Place) -> None:
    """Another amount is a difference that `--change` mends; the second time there is nothing to do."""
    await load(place.target, file.read(SHIPPED, "p.yaml"))
    other = file.read(SHIPPED.replace("points: 300}", "points: 400}", 1), "p.yaml")
    [difference] = (await plan(place.target, other))[0].differences
    assert str(difference).startswith("referral tier Bring a friend/Each friend: reward.points is 300")
    left = await load(place.target, other, change=True)
    assert (left.steps, left.differences) == ([], [])


async def test_a_real_project_is_told_what_to_click(place: Place) -> None:
    """The referrer's reward has no call: nothing goes to an address of the sandbox, and a step says what to do."""
    paths: list[str] = []
    place.own.client.observe = lambda call: paths.append(call.path)
    try:
        target = Target(Caller(place.own.client), sandbox=False, public_url="https://shop.test")
        left = await load(target, file.read(SHIPPED, "p.yaml"))
    finally:
        place.own.client.observe = None
    assert paths
    assert all(path.startswith("/v1/") for path in paths)
    assert (
        "Campaigns → Bring a friend → Referrer rewards: see that there is a tier that gives 300 points of Loyalty "
        "Program for each unique referee."
    ) in left.by_hand
    shown = await place.target.caller.get("/v1/campaigns/Bring%20a%20friend")
    assert shown["referral_program"]["custom_event"]["name"] == "Friend Joined"
    assert "referee_reward" not in shown["referral_program"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("    referrer_gets: {campaign: Loyalty Program}\n", "Exactly one of `points`, `credits_minor_units`"),
        ("    friend_earns: {campaign: Loyalty Programm, points: 5}\n", "Did you mean 'Loyalty Program'?"),
        ("    friend_earns: {campaign: Loyalty Program, credits_minor_units: 5}\n", "There is no gift campaign"),
    ],
)
def test_a_wrong_reward_is_said(line: str, sentence: str) -> None:
    """What a reward is of, and how much, is checked before anything is made."""
    with pytest.raises(ProgrammeError) as caught:
        file.read(SHIPPED.replace(GETS, line), "p.yaml")
    assert sentence in caught.value.sentence
