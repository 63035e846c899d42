"""Voucherify's own SDK drives campaigns, vouchers, gift cards, promotions, qualifications and sessions."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.serving import KEYS


def _drive(url: str) -> dict[str, Any]:
    """The SDK is synchronous; what its models made of the answers."""
    sdk = pytest.importorskip("voucherify")
    configuration = sdk.Configuration(host=url, api_key={name: KEYS[name] for name in ("X-App-Id", "X-App-Token")})
    got: dict[str, Any] = {}
    with sdk.ApiClient(configuration) as client:
        campaigns, vouchers, promotions = sdk.CampaignsApi(client), sdk.VouchersApi(client), sdk.PromotionsApi(client)
        redemptions, validations = sdk.RedemptionsApi(client), sdk.ValidationsApi(client)
        coupon_body = {
            "name": "Coupons",
            "campaign_type": "DISCOUNT_COUPONS",
            "type": "AUTO_UPDATE",
            "vouchers_count": 1,
            "expiration_date": "2030-01-01T00:00:00Z",
            "voucher": {
                "type": "DISCOUNT_VOUCHER",
                "discount": {"type": "AMOUNT", "amount_off": 500, "effect": "APPLY_TO_ITEMS"},
                "redemption": {"quantity": 1},
            },
        }
        made = campaigns.create_campaign(sdk.CampaignsCreateRequestBody.from_dict(coupon_body))
        changed = campaigns.update_campaign(
            made.id, sdk.CampaignsUpdateRequestBody.from_dict({"type": "STATIC", "expiration_date": None})
        )
        got["cleared"] = changed.expiration_date
        added = campaigns.add_vouchers_to_campaign(
            made.id, 1, sdk.CampaignsVouchersCreateInBulkRequestBody.from_dict({"metadata": {"a": 1}})
        )
        got["added"] = added.actual_instance.metadata if hasattr(added, "actual_instance") else added.metadata
        named = campaigns.add_voucher_with_specific_code_to_campaign(
            made.id, "CODE-1", sdk.CampaignsVouchersCreateRequestBody.from_dict({"additional_info": "x"})
        )
        got["named"] = (named.code, named.additional_info)
        gift = {"type": "GIFT_VOUCHER", "gift": {"amount": 2000}}
        body = sdk.VouchersCreateWithSpecificCodeRequestBody.from_dict(gift)
        got["gift"] = vouchers.create_voucher("GIFT-1", body).gift.balance
        balance = vouchers.update_voucher_balance("GIFT-1", sdk.VouchersBalanceUpdateRequestBody(amount=500))
        got["balance"] = (balance.amount, balance.total, balance.balance)
        got["updated"] = vouchers.update_voucher(
            "GIFT-1", sdk.VouchersUpdateRequestBody.from_dict({"metadata": {"b": 2}})
        ).metadata
        promotion_body = {
            "name": "Promo",
            "campaign_type": "PROMOTION",
            "promotion": {
                "tiers": [
                    {
                        "name": "Ten",
                        "banner": "10 off",
                        "action": {"discount": {"type": "PERCENT", "percent_off": 10, "effect": "APPLY_TO_ORDER"}},
                    }
                ]
            },
        }
        promo = campaigns.create_campaign(sdk.CampaignsCreateRequestBody.from_dict(promotion_body))
        tier = promo.promotion.tiers[0].id
        got["tiers"] = [each.name for each in promotions.list_promotion_tiers().tiers]
        got["off"] = promotions.disable_promotion_tier(tier).active
        got["on"] = promotions.enable_promotion_tier(tier).active
        qualified = sdk.QualificationsApi(client).check_eligibility(
            sdk.QualificationsCheckEligibilityRequestBody.from_dict(
                {"scenario": "ALL", "order": {"amount": 10000}, "options": {"expand": ["redeemable"]}}
            )
        )
        got["qualified"] = [(each.object, each.campaign_name) for each in qualified.redeemables.data]
        redeemables = [
            {"object": "voucher", "id": "CODE-1"},
            {"object": "promotion_tier", "id": tier},
            {"object": "voucher", "id": "GIFT-1", "gift": {"credits": 700}},
        ]
        items = [{"source_id": "mug", "related_object": "product", "quantity": 2, "price": 1000}]
        wanted = {
            "redeemables": redeemables,
            "order": {"source_id": "o-1", "items": items},
            "customer": {"source_id": "u-1"},
            "session": {"type": "LOCK", "key": "mine"},
        }
        valid = validations.validate_stacked_discounts(sdk.ValidationsValidateRequestBody.from_dict(wanted))
        got["valid"] = (valid.valid, valid.session.key, valid.order.total_amount)
        redeemed = redemptions.redeem_stacked_discounts(sdk.RedemptionsRedeemRequestBody.from_dict(wanted))
        got["redeemed"] = (redeemed.order.total_amount, len(redeemed.redemptions))
        undone = redemptions.rollback_stacked_redemptions(redeemed.parent_redemption.id)
        got["undone"] = len(undone.rollbacks)
        entries = vouchers.list_voucher_transactions("GIFT-1").data
        got["transactions"] = [entry.type for entry in entries]
        deleted = campaigns.delete_campaign(made.id)
        got["done"] = sdk.AsyncActionsApi(client).get_async_action(deleted.async_action_id).status
        vouchers.delete_voucher("GIFT-1")
        got["left"] = vouchers.list_vouchers().total
    return got


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
async def test_the_official_python_sdk_drives_codes_and_promotions(api: httpx.AsyncClient) -> None:
    """SDK 6.1.1 makes, changes, uses and deletes all of them, and its models read every answer."""
    assert await asyncio.to_thread(_drive, str(api.base_url).rstrip("/")) == {
        "cleared": None,
        "added": {"a": 1},
        "named": ("CODE-1", "x"),
        "gift": 2000,
        "balance": (500, 2500, 2500),
        "updated": {"b": 2},
        "tiers": ["Ten"],
        "off": False,
        "on": True,
        "qualified": [("promotion_tier", "Promo"), ("voucher", None)],
        "valid": (True, "mine", 650),
        "redeemed": (650, 3),
        "undone": 3,
        "transactions": ["CREDITS_REFUND", "CREDITS_REDEMPTION", "CREDITS_ADDITION"],
        "done": "DONE",
        "left": 0,
    }
