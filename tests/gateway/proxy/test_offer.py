"""Each client library finds the models in the shape of its own provider."""

from gateway.proxy import offer
from tests.gateway.running import MODEL, Client


def test_openai_has_a_list() -> None:
    found = offer.listed(["m"], "openai")

    assert found["object"] == "list"
    assert [(model["id"], model["object"]) for model in found["data"]] == [("m", "model")]


def test_anthropic_has_pages() -> None:
    found = offer.listed(["m", "n"], "anthropic")

    assert [(model["id"], model["type"]) for model in found["data"]] == [
        ("m", "model"),
        ("n", "model"),
    ]
    assert (found["first_id"], found["last_id"], found["has_more"]) == ("m", "n", False)
    empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert offer.listed([], "anthropic") == empty


def test_gemini_names_its_methods() -> None:
    [model] = offer.listed(["m"], "gemini")["models"]

    assert model["name"] == "models/m"
    assert "generateContent" in model["supportedGenerationMethods"]


async def test_the_path_and_the_version_say_who_asks(office: Client) -> None:
    openai = await office.http.get("/v1/models")
    anthropic = await office.http.get("/v1/models", headers={"anthropic-version": "2023-06-01"})
    gemini = await office.http.get("/v1beta/models")

    assert [model["id"] for model in openai.json()["data"]] == [MODEL]
    assert anthropic.json()["first_id"] == MODEL
    assert [model["name"] for model in gemini.json()["models"]] == [f"models/{MODEL}"]
