"""What the official SDK is made to do, line by line, in this order. A new endpoint of the sandbox is one line here.

`body` is the argument that takes the request's model, whatever its name. `keep` names parts of the answer, which later
lines use as `{name}`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of the SDK."""

    method: str
    """Class and method of the SDK."""
    arguments: dict[str, Any] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)
    reads: bool = True
    """False where the SDK's own model cannot hold what Voucherify documents: the answer is taken as bytes."""
    status: int = 200

    @property
    def sent(self) -> dict[str, Any]:
        return asdict(self)


def call(
    method: str, *, keep: dict[str, str] | None = None, reads: bool = True, status: int = 200, **arguments: Any
) -> Call:  # fmt: skip
    return Call(method, arguments, keep or {}, reads, status)


WHO = {"source_id": "u-1"}
CARD = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 500}, "code_config": {"pattern": "L-#######"}}
COUPON = {
    "type": "DISCOUNT_VOUCHER",
    "discount": {"type": "PERCENT", "percent_off": 10},
    "redemption": {"quantity": 1},
    "code_config": {"pattern": "TEN-########"},
}
POINTS = {"type": "PROPORTIONAL", "calculation_type": "ORDER_AMOUNT", "order": {"amount": {"every": 100, "points": 1}}}
ITEMS = [{"product_id": "{product}", "quantity": 2, "price": 500, "product": {"name": "Mug"}}]
ADDRESS = {"city": "Oslo", "line_1": "Street 1", "country": "NO", "postal_code": "0001"}
ORDER = {"source_id": "o-1", "amount": 2000, "status": "CREATED"}
CODE = [{"object": "voucher", "id": "{code}"}]
BOTH = [{"object": "voucher", "id": "{code}"}, {"object": "voucher", "id": "{other}"}]
PAYING = [{"object": "voucher", "id": "{card}", "reward": {"id": "{coins}", "points": 10}}]
PAID = {"source_id": "o-paying", "amount": 500, "status": "CREATED"}
STACK = [{"object": "promotion_stack", "id": "{stack}"}]
NOPE = [{"object": "voucher", "id": "NO-SUCH-CODE"}]
CAMPAIGN: dict[str, Any] = {"campaign_id": "Coupons"}
PROGRAMME: dict[str, Any] = {"campaign_id": "Programme"}
MEMBER: dict[str, Any] = {"member_id": "{card}"}
LATE = {"source": {"banner": "Later"}}
THREE_DAYS = {"period_type": "DAY", "period_value": 3}
TIER = {"name": "Silver", "points": {"from": 0, "to": 999}}
STATIC = {"name": "Regulars", "type": "static", "customers": ["{customer}"]}

CALLS: list[Call] = [
    # Customers
    call(
        "CustomersApi.create_customer",
        body={
            "source_id": "u-1",
            "name": "Ann",
            "email": "ann@example.com",
            "phone": "+4790000000",
            "birthdate": "1990-01-02",
            "address": ADDRESS,
            "metadata": {"vip": True, "level": 3, "tags": ["a", "b"]},
        },
        keep={"customer": "id"},
    ),
    call("CustomersApi.create_customer", body={"source_id": "u-2"}, keep={"second": "id"}),
    call("CustomersApi.update_customer", customer_id="u-1", body={"name": "Anna", "metadata": {"level": 4}}),
    call("CustomersApi.get_customer", customer_id="u-1"),
    call("CustomersApi.get_customer", customer_id="{customer}"),
    call("CustomersApi.list_customers", limit=10, page=1, order="-created_at"),
    call("CustomersApi.get_customer", customer_id="nobody", status=404),
    call("CustomersApi.list_customer_segments", customer_id="u-1"),
    call("CustomersApi.update_customers_in_bulk", body=[{"source_id": "u-3", "name": "Cleo"}], status=202),
    call(
        "CustomersApi.update_customers_metadata_in_bulk",
        body={"source_ids": ["u-3"], "metadata": {"vip": False}},
        status=202,
    ),
    # Products
    call(
        "ProductsApi.create_product",
        body={"source_id": "mug", "name": "Mug", "price": 500, "attributes": ["colour"], "metadata": {"a": 1}},
        keep={"product": "id"},
    ),
    call("ProductsApi.get_product", product_id="mug"),
    call("ProductsApi.list_products", limit=10, order="-created_at"),
    call("ProductsApi.update_product", product_id="mug", body={"name": "Large mug"}),
    call(
        "ProductsApi.create_sku",
        product_id="mug",
        body={"source_id": "mug-red", "sku": "Red mug", "price": 600, "attributes": {"colour": "red"}},
        keep={"sku": "id"},
    ),
    call("ProductsApi.get_sku", sku_id="mug-red"),
    call("ProductsApi.list_skus_in_product", product_id="mug"),
    call("ProductsApi.update_sku", product_id="mug", sku_id="mug-red", body={"price": 650}),
    call("ProductsApi.delete_sku", product_id="mug", sku_id="mug-red", status=204),
    call("ProductsApi.update_products_in_bulk", body=[{"source_id": "cup", "name": "Cup"}], status=202),
    call(
        "ProductsApi.update_products_metadata_in_bulk",
        body={"source_ids": ["mug"], "metadata": {"a": 2}},
        status=202,
    ),
    # A programme of points
    call(
        "LoyaltiesApi.create_loyalty_program",
        body={"name": "Programme", "type": "AUTO_UPDATE", "voucher": CARD, "metadata": {"season": "winter"}},
        keep={"programme": "id"},
    ),
    call("LoyaltiesApi.get_loyalty_program", **PROGRAMME),
    call("LoyaltiesApi.list_loyalty_programs", limit=10),
    call("LoyaltiesApi.update_loyalty_program", **PROGRAMME, body={"metadata": {"season": "spring"}}),
    call(
        "LoyaltiesApi.create_earning_rule",
        **PROGRAMME,
        body=[
            {"event": "order.paid", "loyalty": POINTS, "source": {"banner": "Orders"}},
            {"event": "visit", "loyalty": {"type": "FIXED", "points": 5}, "source": {"banner": "Visits"}},
            {"event": "order.paid", "loyalty": {"type": "FIXED", "points": 5}, "pending_points": THREE_DAYS, **LATE},
        ],
        keep={"rule": "0.id", "visits": "1.id"},
    ),
    call("LoyaltiesApi.list_earning_rules", **PROGRAMME),
    call("LoyaltiesApi.get_earning_rule", **PROGRAMME, earning_rule_id="{rule}"),
    call("LoyaltiesApi.get_earning_rule", **PROGRAMME, earning_rule_id="{visits}"),
    call("LoyaltiesApi.disable_earning_rule", **PROGRAMME, earning_rule_id="{rule}"),
    call("LoyaltiesApi.enable_earning_rule", **PROGRAMME, earning_rule_id="{rule}"),
    call(
        "LoyaltiesApi.update_earning_rule",
        **PROGRAMME,
        earning_rule_id="{visits}",
        body={"loyalty": {"type": "FIXED", "points": 5}, "source": {"banner": "Come by"}},
    ),
    call("LoyaltiesApi.create_in_bulk_loyalty_tiers", **PROGRAMME, body=[TIER], keep={"tier": "0.id"}),
    call("LoyaltiesApi.list_loyalty_tiers", **PROGRAMME),
    call("LoyaltiesApi.get_loyalty_tier", **PROGRAMME, loyalty_tier_id="{tier}"),
    call("LoyaltiesApi.list_loyalty_tier_earning_rules", **PROGRAMME, loyalty_tier_id="{tier}"),
    call("LoyaltiesApi.list_loyalty_tier_rewards", **PROGRAMME, loyalty_tier_id="{tier}"),
    call("LoyaltiesApi.add_member", **PROGRAMME, body={"customer": WHO}, keep={"card": "code"}),
    call("LoyaltiesApi.add_member", **PROGRAMME, body={"customer": {"source_id": "u-2"}}, keep={"other_card": "code"}),
    call("LoyaltiesApi.list_members", **PROGRAMME, limit=10),
    call("LoyaltiesApi.get_member", **MEMBER),
    call("LoyaltiesApi.get_member1", **PROGRAMME, **MEMBER),
    # Campaigns of coupons, and their codes
    call(
        "CampaignsApi.create_campaign",
        body={
            "name": "Coupons",
            "campaign_type": "DISCOUNT_COUPONS",
            "type": "AUTO_UPDATE",
            "vouchers_count": 3,
            "voucher": COUPON,
            "start_date": "2020-01-01T00:00:00Z",
            "metadata": {"a": 1},
        },
        keep={"campaign": "id"},
    ),
    call("CampaignsApi.get_campaign", **CAMPAIGN),
    call("CampaignsApi.list_campaigns", limit=10, campaign_type="DISCOUNT_COUPONS"),
    call("CampaignsApi.list_campaigns"),
    call("CampaignsApi.disable_campaign", **CAMPAIGN),
    call("CampaignsApi.enable_campaign", **CAMPAIGN),
    call("CampaignsApi.update_campaign", **CAMPAIGN, body={"metadata": {"a": 2}}),
    call("CampaignsApi.add_vouchers_to_campaign", **CAMPAIGN, vouchers_count=1, body={}),
    call("CampaignsApi.add_voucher_with_specific_code_to_campaign", **CAMPAIGN, code="CHOSEN", body={}),
    call("CampaignsApi.list_campaign_transactions", campaign_id="Programme"),
    call(
        "PublicationsApi.create_publication",
        join_once=True,
        body={"campaign": {"name": "Programme"}, "customer": WHO},
    ),
    call(
        "PublicationsApi.create_publication",
        body={"campaign": {"name": "Coupons"}, "customer": WHO, "source_id": "p-1", "metadata": {"why": "test"}},
        keep={"code": "voucher.code"},
    ),
    call(
        "PublicationsApi.create_publication",
        body={"campaign": {"name": "Coupons"}, "customer": WHO, "source_id": "p-1"},
        status=400,
    ),
    call(
        "PublicationsApi.create_publication",
        body={"campaign": {"name": "Coupons", "count": 2}, "customer": WHO},
    ),
    call(
        "PublicationsApi.create_publication",
        body={"campaign": {"name": "Coupons"}, "customer": WHO},
        keep={"other": "voucher.code"},
    ),
    call("PublicationsApi.list_publications", limit=10, customer="{customer}", source_id="p-1"),
    call("PublicationsApi.list_publications"),
    call("VouchersApi.get_voucher", code="{code}"),
    call("VouchersApi.list_vouchers", limit=10, campaign="Coupons"),
    call("VouchersApi.list_vouchers", customer="{customer}"),
    call("VouchersApi.disable_voucher", code="{code}"),
    call("VouchersApi.enable_voucher", code="{code}"),
    call("VouchersApi.update_voucher", code="{code}", body={"metadata": {"a": 3}}),
    call(
        "VouchersApi.create_voucher",
        code="ALONE",
        body={"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 100}},
    ),
    call(
        "VouchersApi.generate_random_code",
        body={"type": "GIFT_VOUCHER", "gift": {"amount": 1000}},
        keep={"gift": "code"},
    ),
    call("VouchersApi.update_voucher_balance", code="{gift}", body={"amount": 500}),
    call("VouchersApi.list_voucher_transactions", code="{gift}"),
    call("VouchersApi.delete_voucher", code="ALONE", status=204),
    # Lists by filters, imports and bulk calls; `{files}` is the folder beside this one
    call("CampaignsApi.list_campaigns", filters={"campaigns": {"conditions": {"$starts_with": "Coup"}}}),
    call("PublicationsApi.list_publications", filters={"source_id": {"conditions": {"$is": "p-1"}}}),
    call("RedemptionsApi.list_redemptions", filters={"voucher_code": {"conditions": {"$is": "{code}"}}}),
    call("CustomersApi.import_customers_using_csv", file="{files}/customers.csv", status=202),
    call("ProductsApi.import_products_using_csv", file="{files}/products.csv"),
    call("ProductsApi.import_skus_using_csv", file="{files}/skus.csv"),
    call("VouchersApi.import_vouchers_using_csv", file="{files}/vouchers.csv", webhooks_enable=True, status=202),
    call("CampaignsApi.import_vouchers_to_campaign_using_csv", **CAMPAIGN, file="{files}/campaign.csv"),
    call(
        "VouchersApi.import_vouchers",
        body=[{"code": "LISTED", "type": "GIFT_VOUCHER", "gift": {"amount": 500, "balance": 500}}],
        status=202,
    ),
    call(
        "CampaignsApi.import_vouchers_to_campaign",
        **CAMPAIGN,
        body=[{"code": "LISTED-TOO", "category": "spring", "metadata": {"a": 1}}],
        status=202,
    ),
    call("VouchersApi.update_vouchers_in_bulk", body=[{"code": "LISTED", "metadata": {"a": 1}}], status=202),
    call(
        "VouchersApi.update_vouchers_metadata_in_bulk",
        body={"codes": ["LISTED", "FILED"], "metadata": {"b": 2}},
        status=202,
    ),
    # Orders, and what they redeem
    call("ValidationsApi.validate_stacked_discounts", body={"redeemables": CODE, "order": ORDER, "customer": WHO}),
    call("ValidationsApi.validate_stacked_discounts", body={"redeemables": BOTH, "order": ORDER}),
    call("ValidationsApi.validate_stacked_discounts", body={"redeemables": [*NOPE, *CODE], "order": ORDER}),
    call(
        "ValidationsApi.validate_stacked_discounts",
        body={"redeemables": CODE, "order": ORDER, "customer": WHO, "session": {"type": "LOCK", "key": "basket-1"}},
    ),
    call("VouchersApi.release_validation_session", code="{code}", session_key="basket-1", status=204),
    call("QualificationsApi.check_eligibility", body={"customer": WHO, "order": ORDER}),
    call(
        "QualificationsApi.check_eligibility",
        body={"customer": WHO, "order": ORDER, "scenario": "CUSTOMER_WALLET", "options": {"expand": ["redeemable"]}},
    ),
    call(
        "RedemptionsApi.redeem_stacked_discounts",
        body={"redeemables": CODE, "order": ORDER, "customer": WHO, "metadata": {"till": 1}},
        keep={"redemption": "redemptions.0.id"},
    ),
    call(
        "RedemptionsApi.redeem_stacked_discounts",
        body={"redeemables": CODE, "order": {"source_id": "o-2", "amount": 2000}, "customer": WHO},
        status=400,
    ),
    call("RedemptionsApi.redeem_stacked_discounts", body={"redeemables": NOPE, "customer": WHO}, status=404),
    call("RedemptionsApi.get_redemption", redemption_id="{redemption}"),
    call("RedemptionsApi.list_redemptions", limit=10, customer="{customer}"),
    call("RedemptionsApi.list_redemptions", result="FAILURE"),
    call("RedemptionsApi.get_voucher_redemptions", code="{code}"),
    call("OrdersApi.create_order", body={"source_id": "o-1", "status": "PAID", "customer": WHO}, keep={"order": "id"}),
    call(
        "OrdersApi.create_order",
        body={"source_id": "o-3", "status": "PAID", "customer": WHO, "items": ITEMS, "metadata": {"shop": "Oslo"}},
    ),
    call("OrdersApi.create_order", body={"source_id": "o-4", "amount": 700}),
    call("OrdersApi.get_order", order_id="o-1"),
    call("OrdersApi.get_order", order_id="o-3"),
    call("OrdersApi.get_order", order_id="{order}"),
    call("OrdersApi.list_orders", limit=10, order="-created_at"),
    call("OrdersApi.update_order", order_id="o-4", body={"status": "FULFILLED", "metadata": {"x": "y"}}),
    call("RedemptionsApi.rollback_redemption", redemption_id="{redemption}", reason="returned"),
    call("RedemptionsApi.rollback_redemption", redemption_id="{redemption}", status=400),
    call(
        "RedemptionsApi.redeem_stacked_discounts",
        body={"redeemables": BOTH, "order": {"source_id": "o-5", "amount": 5000}, "customer": WHO},
        keep={"parent": "parent_redemption.id"},
    ),
    call("RedemptionsApi.rollback_stacked_redemptions", parent_redemption_id="{parent}", reason="returned"),
    call("EventsApi.track_custom_event", body={"event": "visit", "customer": WHO, "metadata": {"place": "Oslo"}}),
    # Friends
    call(
        "CampaignsApi.create_campaign",
        body={
            "name": "Friends",
            "campaign_type": "REFERRAL_PROGRAM",
            "type": "AUTO_UPDATE",
            "join_once": True,
            "referral_program": {"conversion_event_type": "custom_event", "custom_event": {"name": "joined"}},
            "voucher": {**COUPON, "is_referral_code": True},
        },
        keep={"friends": "id"},
    ),
    call(
        "PublicationsApi.create_publication",
        body={"campaign": {"name": "Friends"}, "customer": {"source_id": "u-2"}},
        keep={"friend_code": "voucher.code"},
    ),
    call("CampaignsApi.list_campaigns", campaign_type="REFERRAL_PROGRAM"),
    call("VouchersApi.get_voucher", code="{friend_code}"),
    call(
        "EventsApi.track_custom_event",
        body={"event": "joined", "customer": WHO, "referral": {"code": "{friend_code}"}},
    ),
    call("CustomersApi.get_customer", customer_id="u-2"),
    call("CustomersApi.list_customer_activity", customer_id="u-1", limit=2),
    call(
        "ReferralsApi.referrals_add_holders",
        member_id="{friend_code}",
        body={"holders": [{"source_id": "u-4"}], "metadata": {"why": "fair"}},
        keep={"friend": "holders.0.id"},
    ),
    call(
        "ReferralsApi.referrals_add_holders1",
        campaign_id="{friends}",
        member_id="{friend_code}",
        body={"holders": [{"source_id": "u-5"}]},
        keep={"other_friend": "holders.0.id"},
    ),
    call("ReferralsApi.referrals_code_holders", campaign_id="Friends", member_id="{friend_code}", limit=10),
    call("ReferralsApi.referrals_code_holders1", member_id="{friend_code}"),
    call("ReferralsApi.referrals_remove_holder", member_id="{friend_code}", holder_id="{friend}", status=204),
    call(
        "ReferralsApi.referrals_remove_holder1",
        campaign_id="{friends}",
        member_id="{friend_code}",
        holder_id="{other_friend}",
        status=204,
    ),
    # Points of a member
    call("LoyaltiesApi.update_loyalty_card_balance", **MEMBER, body={"points": 100, "reason": "thanks"}),
    call("LoyaltiesApi.update_loyalty_card_balance1", **PROGRAMME, **MEMBER, body={"points": -50}),
    call("LoyaltiesApi.update_loyalty_card_balance", **MEMBER, body={"points": -50000}, status=400),
    call("LoyaltiesApi.list_loyalty_card_transactions", **MEMBER, limit=2),
    call("LoyaltiesApi.list_loyalty_card_transactions1", **PROGRAMME, **MEMBER, limit=10),
    call("LoyaltiesApi.list_loyalty_campaign_transactions", **PROGRAMME),
    call("LoyaltiesApi.list_member_activity", **MEMBER),
    call("LoyaltiesApi.list_member_activity1", **PROGRAMME, **MEMBER),
    call("LoyaltiesApi.list_member_loyalty_tier", **MEMBER),
    call("LoyaltiesApi.list_member_pending_points", **MEMBER, keep={"waiting": "data.0.id", "doubted": "data.1.id"}),
    call("LoyaltiesApi.adjust_member_pending_points", **MEMBER, pending_points_id="{waiting}", body={"points": 2}),
    call("LoyaltiesApi.activate_member_pending_points", **MEMBER, pending_points_id="{waiting}"),
    call("LoyaltiesApi.cancel_member_pending_points", **MEMBER, pending_points_id="{doubted}", status=204),
    call("LoyaltiesApi.list_member_pending_points1", **PROGRAMME, **MEMBER),
    call("LoyaltiesApi.list_campaign_pending_points", **PROGRAMME),
    call("LoyaltiesApi.list_points_expiration", **PROGRAMME, **MEMBER),
    call(
        "LoyaltiesApi.transfer_points",
        **PROGRAMME,
        **MEMBER,
        body=[{"code": "{other_card}", "points": 5}],
        reads=False,  # the published samples have fields that the SDK's type for them refuses
    ),
    # Rewards
    call(
        "RewardsApi.create_reward",
        body={"name": "A coupon", "type": "CAMPAIGN", "parameters": {"campaign": {"id": "{campaign}"}}},
        keep={"reward": "id"},
    ),
    call("RewardsApi.get_reward", reward_id="{reward}"),
    call("RewardsApi.list_rewards", limit=10),
    call("RewardsApi.update_reward", reward_id="{reward}", body={"name": "Ten off"}),
    call(
        "LoyaltiesApi.create_reward_assignment1",
        **PROGRAMME,
        body=[{"reward": "{reward}", "parameters": {"loyalty": {"points": 100}}}],
        reads=False,  # the answer is a list, and the SDK's type for it is an object
        keep={"assignment": "0.id"},
    ),
    call("LoyaltiesApi.list_reward_assignments2", **PROGRAMME),
    call("LoyaltiesApi.list_reward_assignments1", **PROGRAMME),
    call("LoyaltiesApi.get_reward_assignment1", **PROGRAMME, assignment_id="{assignment}"),
    call("LoyaltiesApi.get_reward_assignment2", **PROGRAMME, assignment_id="{assignment}"),
    call("LoyaltiesApi.get_reward_details", **PROGRAMME, assignment_id="{assignment}"),
    call("RewardsApi.list_reward_assignments", reward_id="{reward}"),
    call("RewardsApi.get_reward_assignment", reward_id="{reward}", assignment_id="{assignment}"),
    call(
        "LoyaltiesApi.update_reward_assignment1",
        **PROGRAMME,
        assignment_id="{assignment}",
        body={"parameters": {"loyalty": {"points": 90}}},
    ),
    call(
        "RewardsApi.create_reward",
        body={"name": "Mug", "type": "MATERIAL", "stock": 2, "parameters": {"product": {"id": "{product}"}}},
        keep={"gift_reward": "id"},
    ),
    call(
        "RewardsApi.create_reward_assignment",
        reward_id="{gift_reward}",
        body={"campaign": "Programme", "parameters": {"loyalty": {"points": 10}}},
        keep={"gift_assignment": "id"},
    ),
    call(
        "RewardsApi.update_reward_assignment",
        reward_id="{gift_reward}",
        assignment_id="{gift_assignment}",
        body={"parameters": {"loyalty": {"points": 9}}},
    ),
    call(
        "RewardsApi.create_reward",
        body={"name": "Money", "type": "COIN", "parameters": {"coin": {"exchange_ratio": 1, "points_ratio": "10"}}},
        keep={"coins": "id"},
    ),
    call("RewardsApi.create_reward_assignment", reward_id="{coins}", body={"campaign": "Programme"}),
    call("LoyaltiesApi.list_member_rewards", **MEMBER),
    call("LoyaltiesApi.redeem_reward", **MEMBER, body={"reward": {"id": "{reward}"}, "metadata": {"request_id": "1"}}),
    call("LoyaltiesApi.redeem_reward", **MEMBER, body={"reward": {"id": "{gift_reward}"}}, keep={"purchase": "id"}),
    call("RedemptionsApi.rollback_redemption", redemption_id="{purchase}", reason="sent back"),
    call(
        "LoyaltiesApi.redeem_reward",
        **MEMBER,
        body={"reward": {"id": "{coins}", "points": 10}, "order": {"source_id": "o-coins", "amount": 500}},
    ),
    call("ValidationsApi.validate_stacked_discounts", body={"redeemables": PAYING, "order": ORDER, "customer": WHO}),
    call("RedemptionsApi.redeem_stacked_discounts", body={"redeemables": PAYING, "order": PAID, "customer": WHO}),
    call("LoyaltiesApi.redeem_reward1", **PROGRAMME, **MEMBER, body={"reward": {"id": "{reward}"}}),
    call("LoyaltiesApi.list_loyalty_card_transactions", **MEMBER),
    call("CustomersApi.get_customer", customer_id="u-1"),
    call("CustomersApi.list_customer_activity", customer_id="u-1", limit=100),
    call("CustomersApi.list_customer_activity", customer_id="u-1", limit=2, category="ACTION"),
    call("CustomersApi.list_customer_redeemables", customer_id="u-1"),
    # Who may do what
    call("SegmentsApi.create_segment", body=STATIC, keep={"segment": "id"}),
    call("SegmentsApi.get_segment", segment_id="{segment}"),
    call("SegmentsApi.delete_segment", segment_id="{segment}", status=204),
    call(
        "ValidationRulesApi.create_validation_rules",
        body={
            "name": "Above 10",
            "type": "expression",
            "context_type": "global",
            "rules": {"1": {"name": "order.amount", "conditions": {"$more_than": [1000]}, "rules": {}}, "logic": "1"},
        },
        keep={"validation": "id"},
    ),
    call("ValidationRulesApi.get_validation_rule", validation_rule_id="{validation}"),
    call("ValidationRulesApi.list_validation_rules"),
    call("ValidationRulesApi.update_validation_rule", validation_rule_id="{validation}", body={"name": "Above ten"}),
    call(
        "ValidationRulesApi.create_validation_rule_assignment",
        validation_rule_id="{validation}",
        body={"related_object_type": "campaign", "related_object_id": "{campaign}"},
        keep={"validation_assignment": "id"},
    ),
    call("ValidationRulesApi.list_validation_rule_assignments", validation_rule_id="{validation}"),
    call("ValidationRulesApi.list_validation_rules_assignments"),
    call(
        "ValidationRulesApi.delete_validation_rule_assignment",
        validation_rule_id="{validation}",
        assignment_id="{validation_assignment}",
        status=204,
    ),
    call("ValidationRulesApi.delete_validation_rules", validation_rule_id="{validation}", status=204),
    # Promotions
    call("CategoriesApi.create_category", body={"name": "Summer", "hierarchy": 2}, keep={"category": "id"}),
    call("CategoriesApi.get_category", category_id="{category}"),
    call("CategoriesApi.update_category", category_id="{category}", body={"name": "Summer", "hierarchy": 1}),
    call("CategoriesApi.list_categories"),
    call(
        "CampaignsApi.create_campaign",
        body={"name": "Promotion", "campaign_type": "PROMOTION", "type": "AUTO_UPDATE"},
        keep={"promotion": "id"},
    ),
    call(
        "PromotionsApi.add_promotion_tier_to_campaign",
        campaign_id="{promotion}",
        body={"name": "A tenth off", "banner": "10 % off", "action": {"discount": COUPON["discount"]}},
        keep={"promotion_tier": "id"},
    ),
    call("PromotionsApi.get_promotion_tier", promotion_tier_id="{promotion_tier}"),
    call("PromotionsApi.list_promotion_tiers"),
    call("PromotionsApi.list_promotion_tiers", is_available=True),
    call("PromotionsApi.list_promotion_tiers_from_campaign", campaign_id="{promotion}"),
    call("PromotionsApi.update_promotion_tier", promotion_tier_id="{promotion_tier}", body={"name": "Off"}),
    call("PromotionsApi.disable_promotion_tier", promotion_tier_id="{promotion_tier}"),
    call("PromotionsApi.enable_promotion_tier", promotion_tier_id="{promotion_tier}"),
    call(
        "PromotionsApi.create_promotion_stack",
        campaign_id="{promotion}",
        body={"name": "All of them", "tiers": {"ids": ["{promotion_tier}"]}, "category_id": "{category}"},
        keep={"stack": "id"},
        reads=False,  # the SDK takes the categories of the answer for stacks
    ),
    call("PromotionsApi.get_promotion_stack", campaign_id="{promotion}", stack_id="{stack}"),
    call("PromotionsApi.list_promotion_stacks_in_campaign", campaign_id="{promotion}"),
    call("PromotionsApi.list_all_promotion_stacks"),
    call(
        "PromotionsApi.update_promotion_stack",
        campaign_id="{promotion}",
        stack_id="{stack}",
        body={"name": "Each of them"},
        reads=False,
    ),
    call("ValidationsApi.validate_stacked_discounts", body={"redeemables": STACK, "order": {"amount": 2000}}),
    call("QualificationsApi.check_eligibility", body={"scenario": "PROMOTION_STACKS", "order": {"amount": 2000}}),
    call(
        "RedemptionsApi.redeem_stacked_discounts",
        body={"redeemables": STACK, "order": {"source_id": "o-6", "amount": 2000}, "customer": WHO},
    ),
    call("PromotionsApi.delete_promotion_stack", campaign_id="{promotion}", stack_id="{stack}", status=204),
    # What goes together
    call(
        "ManagementApi.create_stacking_rules",
        project_id="{project}",
        body={"exclusive_categories": ["{category}"], "redeemables_application_mode": "PARTIAL"},
        keep={"stacking": "id"},
    ),
    call("ManagementApi.list_stacking_rules", project_id="{project}"),
    call("ManagementApi.get_stacking_rules", project_id="{project}", stacking_rules_id="{stacking}"),
    call(
        "ManagementApi.update_stacking_rules",
        project_id="{project}",
        stacking_rules_id="{stacking}",
        body={"applicable_redeemables_limit": 3},
    ),
    call("ValidationsApi.validate_stacked_discounts", body={"redeemables": [*NOPE, *CODE], "order": ORDER}),
    call("ManagementApi.delete_stacking_rules", project_id="{project}", stacking_rules_id="{stacking}", status=204),
    call("CategoriesApi.delete_category", category_id="{category}", status=204),
    call("PromotionsApi.delete_promotion_tier", promotion_tier_id="{promotion_tier}", status=204),
    call("MetadataSchemasApi.list_metadata_schemas"),
    call("MetadataSchemasApi.get_metadata_schema", resource="customer"),
    # The end of it all
    call("LoyaltiesApi.delete_reward_assignment1", **PROGRAMME, assignment_id="{assignment}", status=204),
    call(
        "RewardsApi.delete_reward_assignment", reward_id="{gift_reward}", assignment_id="{gift_assignment}", status=204
    ),
    call("RewardsApi.delete_reward", reward_id="{gift_reward}", status=204),
    call("RewardsApi.delete_reward", reward_id="{coins}", status=400),
    call("LoyaltiesApi.delete_earning_rule", **PROGRAMME, earning_rule_id="{visits}", status=204),
    call("ProductsApi.delete_product", product_id="mug", status=204),
    call("CampaignsApi.create_campaign", body={"name": "Short-lived", "voucher": COUPON}),
    call("CampaignsApi.delete_campaign", campaign_id="Short-lived", status=202),
    call(
        "LoyaltiesApi.create_loyalty_program", body={"name": "Short programme", "type": "AUTO_UPDATE", "voucher": CARD}
    ),
    call("LoyaltiesApi.delete_loyalty_program", campaign_id="Short programme"),
    call("CustomersApi.delete_customer", customer_id="{second}", status=204),
    call("CustomersApi.customer_permanently_deletion", customer_id="u-1"),
]
"""Each part of the road, in the order in which one thing needs another."""
