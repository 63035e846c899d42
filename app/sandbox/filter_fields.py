"""Which fields each list can be filtered by, and where their values are.

documented: the names (those of vouchers by their export). inferred: `created_date` is `created_at`; a publication's
`parent_object_id` is its campaign and `related_object_id` its voucher; a call by the API has no `user_login`; a
campaign's `status` goes by its codes, which are always there.
"""

from app.sandbox.list_filters import Field, metadata, moment, presence, states, truth

_DAYS = ("$is", "$in")
_STARTED = "(doc ->> 'start_date')::timestamptz"
_ENDS = "(doc ->> 'expiration_date')::timestamptz"

VOUCHERS = {
    "code": Field("v.code"),
    "created_at": moment("v.created_at"),
    "created_date": moment("v.created_at"),
    "updated_at": moment("v.updated_at"),
    "start_date": moment("(v.doc ->> 'start_date')::timestamptz"),
    "expiration_date": moment("(v.doc ->> 'expiration_date')::timestamptz"),
    "active": truth("v.active AND coalesce(c.active, true)"),
    "categories": Field("nullif(v.doc ->> 'category', '')"),
    "category_ids": Field("nullif(v.doc ->> 'category_id', '')"),
    "holder_id": Field("v.holder_id"),
    "is_referral_code": truth("coalesce(c.campaign_type = 'REFERRAL_PROGRAM', false)"),
    "published_for_customer_id": Field(
        "ARRAY(SELECT p.customer_id FROM publication p WHERE p.voucher_ids @> ARRAY[v.id] "
        "AND p.customer_id IS NOT NULL)",
        "texts",
    ),
    "validity_day_of_week": Field("v.doc -> 'validity_day_of_week'", "days", _DAYS),
    "validity_timeframe": presence("v.doc ->> 'validity_timeframe'"),
    "metadata.": metadata("(v.doc -> 'metadata' -> {key})"),
    "redemption.quantity": metadata("to_jsonb(v.quantity)"),
    "redemption.redeemed_quantity": metadata("to_jsonb(v.redeemed_quantity)"),
}
CAMPAIGNS = {
    "campaigns": Field("name"),
    "campaigns_id": Field("id"),
    "campaign_status": Field("doc ->> 'creation_status'"),
    "status": states(
        **{
            "$active": "doc ->> 'creation_status' = 'DONE'",
            "$failed": "doc ->> 'creation_status' = 'FAILED'",
            "$in_progress": "doc ->> 'creation_status' IN ('IN_PROGRESS', 'MODIFYING')",
            "$expired": f"doc ->> 'creation_status' = 'DONE' AND {_ENDS} < {{now}}",
            "before_start": f"doc ->> 'creation_status' = 'DONE' AND {_STARTED} > {{now}}",
        }
    ),
    "active": states(
        **{
            "$enabled": "active",
            "$disabled": "NOT active",
            "$expired": f"coalesce({_ENDS} < {{now}}, false)",
            "$active": f"active AND coalesce({_STARTED} <= {{now}}, true) AND coalesce({_ENDS} > {{now}}, true)",
        }
    ),
    "is_referral_code": truth("campaign_type = 'REFERRAL_PROGRAM'"),
    "validity_timeframe": presence("doc ->> 'validity_timeframe'"),
    "voucher_type": Field("doc -> 'voucher' ->> 'type'"),
    "categories": Field("nullif(doc ->> 'category', '')"),
    "category_ids": Field("nullif(doc ->> 'category_id', '')"),
    "type": Field("doc ->> 'type'", virtual={"BULK": ("AUTO_UPDATE", "STATIC")}),
    "created_date": moment("created_at"),
    "updated_at": moment("updated_at"),
    "start_date": moment(_STARTED),
    "expiration_date": moment(_ENDS),
    "validity_day_of_week": Field("doc -> 'validity_day_of_week'", "days", _DAYS),
}
REDEMPTIONS = {
    "voucher_code": Field("(doc -> 'voucher' ->> 'code')"),
    "related_object_id": Field("(doc ->> 'related_object_id')"),
    "related_object_parent_id": Field("campaign_id"),
    "parent_redemption_id": Field("parent_id"),
    "failure_code": Field("(doc ->> 'failure_code')"),
    "result": Field("(doc ->> 'result')"),
    "object": Field("object"),
    "customer_id": Field("customer_id"),
    "campaign_name": Field("(SELECT c.name FROM campaign c WHERE c.id = redemption.campaign_id)"),
    "user_login": Field("(doc -> 'user' ->> 'login')"),
}
PUBLICATIONS = {
    "failure_code": Field("(doc ->> 'failure_code')"),
    "result": Field("(doc ->> 'result')"),
    "customer_id": Field("customer_id"),
    "campaign_name": Field("(SELECT c.name FROM campaign c WHERE c.id = publication.campaign_id)"),
    "voucher_type": Field("ARRAY(SELECT v.type FROM voucher v WHERE v.id = ANY(publication.voucher_ids))", "texts"),
    "is_referral_code": truth(
        "EXISTS (SELECT 1 FROM campaign c WHERE c.id = publication.campaign_id "
        "AND c.campaign_type = 'REFERRAL_PROGRAM')"
    ),
    "parent_object_id": Field("campaign_id"),
    "related_object_id": Field("voucher_ids", "texts"),
    "source_id": Field("source_id"),
}
SEGMENTS = {
    "id": Field("id"),
    "name": Field("name"),
    "type": Field("type"),
    "created_at": moment("created_at"),
}
PROGRAMME_TRANSACTIONS = {"id": Field("id"), "voucher_id": Field("voucher_id")}
MEMBER_TRANSACTIONS = {"id": Field("id"), "created_at": moment("created_at")}
REDEEMABLES = {
    "id": Field("id"),
    "created_at": moment("created_at"),
    **{name: Field(name) for name in ("redeemable_id", "redeemable_object", "holder_role")},
    **{name: Field(name) for name in ("campaign_id", "campaign_type", "voucher_type")},
}
"""Of a customer's wallet, which is not made by SQL: the names alone count."""
