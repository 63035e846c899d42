"""Phone numbers in E.164: the one form that is stored, compared and sent."""

import phonenumbers

from app.errors import BadInput


def e164(number: str) -> str:
    """The number in E.164, or `BadInput`. It must come with its country code: a till may stand anywhere."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException as error:
        raise BadInput("phone must begin with + and the country code, as in +48 601 234 567.", field="phone") from error
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise BadInput("phone is not a number that can exist: check its length.", field="phone")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
