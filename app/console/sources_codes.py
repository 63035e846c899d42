"""What Segment's codes for refused messages mean, in a sentence that says what to mend."""

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "bad_request": "It is none of Segment's six calls, or its messageId has more than 100 characters.",
    "no_user_anon_id": "It has neither a userId nor an anonymousId: nobody can tell whose it is.",
    "id_required": "A group call needs a groupId, an alias call a previousId and a userId.",
    "id_not_string": "One of its ids is not text: send numbers in quotes.",
    "event_not_defined": "A track call needs the name of its event.",
    "event_not_string": "The name of its event is not text.",
    "name_not_string": "The name of the page or screen is not text.",
    "category_not_string": "The category of the page or screen is not text.",
    "properties_not_object": "Its properties are not a JSON object.",
    "traits_not_object": "Its traits are not a JSON object.",
    "empty_batch": "The batch had no messages.",
    "message_too_large": "A message from real Segment may have 64 KB at most.",
    "too_many_requests": "A batch may have 2,500 messages; this one and what followed it were beyond that.",
    "source_disabled": "The source was disabled when it came. It is not taken in later.",
    "unknown_source": "It came under a write key that no source has.",
}


def meaning(code: str) -> str:
    return MEANINGS.get(code, "It can't be taken in.")
