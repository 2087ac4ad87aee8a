"""`create`, `create_blob`, `copy` and `delete`, over all hosts."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ollama import Message, Options, ResponseError

from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.native.calling import outcome, pieces
from tests.native.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="package")

GGUF = b"GGUF" + bytes(1000)
EVERYWHERE = ["old", "new", "jinja"]
OF_ANOTHER = "on every host that has what it is made of"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights."""
    path = tmp_path / "model.gguf"
    path.write_bytes(GGUF)
    return path


@uses(PYTHON, "create", "model", "from_", "template", "license", "system", "parameters", "messages", remark=OF_ANOTHER)
async def test_a_model_is_made_of_another_on_every_host_that_has_it(changing: Fleet, way: Way) -> None:
    settings: dict[str, Any] = {
        "template": "{{ .System }} {{ .Prompt }}",
        "license": ["MIT", "and more"],
        "system": "You are Mario.",
        "parameters": {"temperature": 0.5, "stop": ["<EOT>"]},
        "messages": [{"role": "user", "content": "Who?"}, Message(role="assistant", content="Mario!")],
    }
    told = pieces(await changing.alice.call(way, "create", model="mario", from_="tiny-embed", **settings))
    shown: Any = await changing.bob.client.show("mario")

    assert told[-1].status == "success"
    assert [piece.status for piece in told].count("success") == 1
    assert changing.with_model("mario") == ["old", "new"]
    assert shown.template == settings["template"]
    assert "SYSTEM You are Mario." in shown.modelfile
    assert shown.license == "MIT\nand more"
    assert "temperature" in shown.parameters
    assert "MESSAGE assistant Mario!" in shown.modelfile


async def test_parameters_may_be_an_object(changing: Fleet, way: Way) -> None:
    await changing.alice.call(way, "create", model="cold", from_="demo", parameters=Options(temperature=0.25))
    shown: Any = await changing.bob.client.show("cold")

    assert "0.25" in shown.parameters
    assert changing.with_model("cold") == EVERYWHERE


@uses(PYTHON, "create", "quantize", remark=OF_ANOTHER)
async def test_a_model_is_quantized(changing: Fleet, way: Way) -> None:
    told = pieces(await changing.alice.call(way, "create", model="small", from_="plain:0.24", quantize="q4_K_M"))
    shown: Any = await changing.bob.client.show("small")

    assert told[-1].status == "success"
    assert shown.details.quantization_level == "Q4_K_M"
    assert changing.with_model("small") == ["old"]


@pytest.mark.parametrize("way", WHOLE)
@uses(PYTHON, "create_blob", "path", remark="to all hosts")
async def test_a_file_is_sent_to_all_hosts(changing: Fleet, way: Way, weights: Path) -> None:
    digest = await changing.alice.call(way, "create_blob", path=weights)
    again = await changing.alice.call(way, "create_blob", path=str(weights))

    assert digest == again == f"sha256:{sha256(GGUF).hexdigest()}"
    assert [host.simulator.blobs[digest] for host in changing.hosts.values()] == [len(GGUF)] * 3


@uses(PYTHON, "create", "files", "adapters", remark="on the hosts that hold the files")
async def test_a_model_is_made_of_files(changing: Fleet, way: Way, weights: Path) -> None:
    digest = await changing.alice.call("async", "create_blob", path=weights)
    told = pieces(await changing.alice.call(way, "create", model="mine", files={"model.gguf": digest}))
    tuned = pieces(
        await changing.alice.call(way, "create", model="tuned", from_="demo", adapters={"lora.gguf": digest})
    )

    assert told[-1].status == tuned[-1].status == "success"
    assert changing.with_model("mine") == changing.with_model("tuned") == EVERYWHERE


async def test_a_model_made_of_files_that_nobody_has(fleet: Fleet, way: Way) -> None:
    with pytest.raises(ResponseError) as caught:
        await fleet.alice.call(way, "create", model="mine", files={"model.gguf": f"sha256:{'0' * 64}"})

    assert "no such file or directory" in caught.value.error
    assert fleet.with_model("mine") == []


async def test_a_model_made_of_nothing(fleet: Fleet, way: Way) -> None:
    found = await outcome(fleet.alice, way, "create", model="mine")

    assert found in ((-1, error := "neither 'from' or 'files' was specified"), (400, error))


@pytest.mark.parametrize("way", WHOLE)
@uses(PYTHON, "copy", "source", "destination", remark="on every host that has it")
async def test_a_model_is_copied_on_every_host_that_has_it(changing: Fleet, way: Way) -> None:
    status = await changing.alice.call(way, "copy", source="tiny-embed", destination="alice/embed")
    listed = await changing.bob.client.list()

    assert status.status == "success"
    assert changing.with_model("alice/embed") == ["old", "new"]
    assert "alice/embed:latest" in {model.model for model in listed.models}


@pytest.mark.parametrize("way", WHOLE)
@uses(PYTHON, "delete", "model", remark="on every host that has it")
async def test_a_model_is_deleted_on_every_host_that_has_it(changing: Fleet, way: Way) -> None:
    status = await changing.alice.call(way, "delete", model="tiny-embed")
    listed = await changing.bob.client.list()

    assert status.status == "success"
    assert changing.with_model("tiny-embed") == []
    assert "tiny-embed:latest" not in {model.model for model in listed.models}


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize(
    ("method", "asked", "error"),
    [
        ("copy", {"source": "nobody", "destination": "somebody"}, 'model "nobody" not found'),
        ("delete", {"model": "nobody"}, "model 'nobody' not found"),
        ("delete", {"model": "gpt-4o-mini"}, "'gpt-4o-mini' is an alias of 'demo' here; name the model itself."),
    ],
    ids=["copy", "delete", "delete an alias"],
)
async def test_a_model_that_is_nowhere(fleet: Fleet, way: Way, method: str, asked: dict[str, str], error: str) -> None:
    assert await outcome(fleet.alice, way, method, **asked) == (404, error)
    assert fleet.with_model("demo") == EVERYWHERE


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("pull", {"model": "mistral"}),
        ("push", {"model": "alice/chat"}),
        ("create", {"model": "mario", "from_": "demo"}),
    ],
)
@uses(PYTHON, "ResponseError", "status_code: 403", remark="a key without the scope `admin`")
async def test_who_may_not_manage_models(fleet: Fleet, way: Way, method: str, asked: dict[str, str]) -> None:
    status, error = await outcome(fleet.bob, way, method, **asked)

    assert status == 403
    assert "scopes: [admin]" in error
    assert [host.bodies(f"/api/{method}") for host in fleet.hosts.values()] == [[], [], []]


@pytest.mark.parametrize("way", WHOLE)
async def test_who_may_not_manage_models_in_other_ways(fleet: Fleet, way: Way, weights: Path) -> None:
    for method, asked in (
        ("copy", {"source": "demo", "destination": "mario"}),
        ("delete", {"model": "demo"}),
        ("create_blob", {"path": str(weights)}),
    ):
        with pytest.raises(ResponseError, match=r"scopes: \[admin\]") as caught:
            await fleet.bob.call(way, method, **asked)
        assert caught.value.status_code == 403
    assert fleet.with_model("demo") == EVERYWHERE
