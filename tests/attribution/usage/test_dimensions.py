"""Who a call is for: precedence, pins, tags, and what the provider gets to see."""

from typing import Any

import pytest

from attribution.usage import dimensions
from attribution.usage.dimensions import AttributionError, Dimensions, HouseRules, KeyRules

NO_RULES = KeyRules()


def resolve(
    headers: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    *,
    key: KeyRules = NO_RULES,
    house: str | None = "DEFAULT",
    provider_fields: frozenset[str] = dimensions.OPENAI_FIELDS,
) -> Dimensions:
    return dimensions.resolve(
        headers or {},
        body or {},
        key=key,
        house=HouseRules(house),
        provider_fields=provider_fields,
    )


def test_header_wins_over_body_over_key_over_organization() -> None:
    header = {"x-cost-center": "SALES"}
    body = {"cost_center": "RND", "metadata": {"cost_center": "SUPPORT"}}
    key = KeyRules(defaults={"cost_center": "MARKETING"})

    found = [
        resolve(header, body, key=key),
        resolve({}, body, key=key),
        resolve({}, {"metadata": body["metadata"]}, key=key),
        resolve(key=key),
        resolve(),
        resolve(house=None),
    ]

    assert [(d.cost_center, d.cost_center_source) for d in found] == [
        ("SALES", "header"),
        ("RND", "body"),
        ("SUPPORT", "body"),
        ("MARKETING", "key"),
        ("DEFAULT", "organization"),
        (None, ""),
    ]


def test_the_user_is_the_first_field_that_names_one() -> None:
    body: dict[str, Any] = {
        "user_id": "one",
        "user": "two",
        "safety_identifier": "three",
        "metadata": {"user_id": "four"},
    }

    users = []
    for name in ["user_id", "user", "safety_identifier", "metadata"]:
        users.append(resolve({}, body).user_id)
        del body[name]

    assert users == ["one", "two", "three", "four"]
    assert resolve({"x-user-id": "zero"}, {"user": "two"}).user_id == "zero"
    assert resolve({}, {"user_id": 42}).user_id == "42"


def test_every_dimension_has_its_header_and_its_metadata() -> None:
    headers = {
        "x-request-path": "/chat",
        "x-feature": "summary",
        "x-session-id": "s-1",
        "x-feature-flag": "beta",
        "x-environment": "staging",
    }
    metadata = {
        "feature": "m-f",
        "session_id": "m-s",
        "feature_flag": "m-ff",
        "environment": "m-e",
    }

    by_header = resolve(headers)
    by_body = resolve({}, {"request_path": "/m", "metadata": metadata})

    assert (by_header.path, by_header.feature, by_header.session_id) == ("/chat", "summary", "s-1")
    assert (by_header.feature_flag, by_header.environment) == ("beta", "staging")
    assert (by_body.path, by_body.feature, by_body.session_id) == ("/m", "m-f", "m-s")
    assert (by_body.feature_flag, by_body.environment) == ("m-ff", "m-e")
    assert by_body.tags == {}


def test_a_pinned_cost_center_cannot_be_overridden_from_anywhere() -> None:
    key = KeyRules(defaults={"cost_center": "RND"}, pinned=frozenset({"cost_center"}))

    attempts: list[tuple[dict[str, str], dict[str, Any]]] = [
        ({"x-cost-center": "SALES"}, {}),
        ({}, {"cost_center": "SALES"}),
        ({}, {"metadata": {"cost_center": "SALES"}}),
    ]
    for headers, body in attempts:
        with pytest.raises(AttributionError) as refusal:
            resolve(headers, body, key=key)
        assert refusal.value.code == "attribution_not_allowed"

    assert resolve(key=key).cost_center == "RND"
    assert resolve({"x-cost-center": "RND"}, key=key).cost_center == "RND"


def test_a_key_with_a_list_allows_only_what_is_on_it() -> None:
    key = KeyRules(allowed={"user_id": frozenset({"ann", "bob"})})

    assert resolve({"x-user-id": "ann"}, key=key).user_id == "ann"
    assert resolve(key=key).user_id is None
    with pytest.raises(AttributionError, match="user_id") as refusal:
        resolve({}, {"user": "eve"}, key=key)
    assert refusal.value.param == "user"


def test_tags_come_from_the_header_before_the_metadata() -> None:
    headers = {"x-tags": "team=blue, tier=gold,bare,=nothing"}
    body = {"metadata": {"team": "red", "run": "7", "count": 3, "cost_center": "RND"}}

    assert resolve(headers, body).tags == {"team": "blue", "tier": "gold", "run": "7"}


def test_only_listed_tags_are_kept_and_never_too_many() -> None:
    body = {"metadata": {f"k{n}": "v" for n in range(50)}}
    house = HouseRules(tag_keys=frozenset({"k7", "k49"}))

    listed = dimensions.resolve({}, body, key=NO_RULES, house=house)

    assert listed.tags == {"k7": "v", "k49": "v"}
    assert len(resolve({}, body).tags) == dimensions.MAX_TAGS


def test_control_and_bidi_characters_are_stripped_and_long_texts_shortened() -> None:
    found = resolve(
        {"x-cost-center": " SA\u202eLES\x07 ", "x-feature": "f" * 300, "x-tags": "k=" + "v" * 300}
    )

    assert found.cost_center == "SALES"
    assert found.feature == "f" * 128
    assert found.tags == {"k": "v" * 128}
    assert resolve({"x-cost-center": "\u200f \t"}).cost_center == "DEFAULT"


def test_an_identity_that_is_too_long_is_refused_since_a_shorter_one_is_another() -> None:
    with pytest.raises(AttributionError, match="x-user-id") as refusal:
        resolve({"x-user-id": "u" * 129})
    assert refusal.value.code == "invalid_request"


def test_our_own_field_of_the_wrong_shape_is_refused_and_the_providers_is_left_alone() -> None:
    with pytest.raises(AttributionError, match="cost_center must be text"):
        resolve({}, {"cost_center": ["RND"]})

    assert resolve({}, {"user": ["odd"], "metadata": "odd", "user_id": None}).user_id is None


def test_what_is_ours_is_not_forwarded_and_what_is_the_providers_is() -> None:
    body = {
        "model": "m",
        "user": "ann",
        "safety_identifier": "x",
        "cost_center": "RND",
        "user_id": "ann",
        "request_path": "/p",
        "metadata": {"user_id": "ann", "cost_center": "RND", "team": "blue"},
    }

    openai = resolve({}, body)
    anthropic = resolve({}, body, provider_fields=dimensions.ANTHROPIC_FIELDS)
    gemini = resolve({}, body, provider_fields=dimensions.GEMINI_FIELDS)

    assert openai.strip == ("cost_center", "request_path", "user_id")
    assert dimensions.without(body, openai.strip) == {
        "model": "m",
        "user": "ann",
        "safety_identifier": "x",
        "metadata": body["metadata"],
    }
    assert dimensions.without(body, anthropic.strip) == {
        "model": "m",
        "metadata": {"user_id": "ann"},
    }
    assert dimensions.without(body, gemini.strip) == {"model": "m"}
    assert "cost_center" in body


def test_the_rules_of_a_key_are_read_from_its_columns() -> None:
    columns = {
        "user_name": "robot",
        "is_user_pinned": True,
        "is_cost_center_pinned": False,
        "allowed_cost_centers": ["RND", "SALES"],
    }

    rules = dimensions.key_rules(columns, "RND")

    assert rules.defaults == {"cost_center": "RND", "user_id": "robot"}
    assert rules.pinned == {"user_id"}
    assert rules.allowed == {"cost_center": frozenset({"RND", "SALES"})}
    assert dimensions.key_rules({**columns, "allowed_cost_centers": []}, None).allowed == {}


@pytest.mark.parametrize(
    ("packed", "user", "session"),
    [
        ('{"device_id":"d1","account_uuid":"","session_id":"s1"}', "d1", "s1"),
        ('{"device_id":"d1","account_uuid":"a1","session_id":"s1"}', "a1", "s1"),
        ("user_ab12_account__session_5-6", "user_ab12", "5-6"),
        ("user_ab12_account_3-4_session_5-6", "3-4", "5-6"),
        ('{"name":"ann"}', '{"name":"ann"}', None),
        ("{not json", "{not json", None),
        ("ann", "ann", None),
    ],
)
def test_a_coding_agent_s_user_and_session_are_told_apart(
    packed: str, user: str, session: str | None
) -> None:
    found = resolve({}, {"metadata": {"user_id": packed}})

    assert (found.user_id, found.session_id) == (user, session)


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_a_long_identity_in_a_field_of_the_provider_is_taken_and_stays_itself(name: str) -> None:
    first, second = [resolve({}, {name: "u" * 200 + end}).user_id for end in "ab"]

    assert first is not None
    assert len(first) == dimensions.MAX_LENGTH
    assert first != second
