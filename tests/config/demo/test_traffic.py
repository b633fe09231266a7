"""The live calls of the demo: each is one that the gateway understands."""

import json
import random

from django.urls import URLResolver
from django.urls.resolvers import RegexPattern

from config.demo import traffic


def test_every_call_is_understood_where_it_is_sent() -> None:
    resolver = URLResolver(RegexPattern(r"^/"), "gateway.proxy.urls")
    formats = set()

    for seed in range(200):
        path, body = traffic.asked(random.Random(seed))  # noqa: S311  no secret
        place, _, query = path.partition("?")
        match = resolver.resolve(place)
        form = getattr(match.func, "view_initkwargs")["format"]  # noqa: B009  as_view's
        variables = {**match.kwargs, "alt": query.removeprefix("alt=")}
        asked = form.parse_request(json.dumps(body).encode(), variables)
        formats.add((form.NAME, asked.is_stream))
        assert asked.model == "demo"
        assert 16 <= asked.max_output <= 160

    assert len(formats) == 8
