"""The documents name everything that a user can set, send or see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

from adapters import errors
from adapters.openai import completions_request, embeddings
from adapters.openai.extensions import COMPLETION
from adapters.options import KNOWN, LOAD, RETIRED
from adapters.types import Usage
from gateway.app import Gateway
from gateway.config import HostSettings, KeySettings, ModelSettings, Settings
from gateway.config.loading import variables
from gateway.metrics import Metrics

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def read(file: str) -> str:
    return (DOCS / file).read_text()


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("variable", variables())
def test_every_setting_has_a_row_with_its_variable(variable):
    key = ".".join(map(str, variables()[variable]))
    group = key in Settings.__struct_fields__ and hasattr(getattr(Settings(), key), "__struct_fields__")

    assert group or f"| `{key}` | `{variable}` |" in read("configuration.md")


@pytest.mark.parametrize(
    ("title", "kind"), [("`hosts`", HostSettings), ("`models`", ModelSettings), ("`keys`", KeySettings)]
)
def test_every_key_of_an_entry_has_a_row(title, kind):
    rows = re.findall(r"^\| `(\w+)` \|", section(read("configuration.md"), title), re.MULTILINE)

    assert tuple(rows) == kind.__struct_fields__


def test_every_metric_has_a_row_with_its_labels():
    rows = dict(re.findall(r"^\| `(ollama_gateway_\w+)` \| ([\w, ]+) \|", read("operations.md"), re.MULTILINE))
    metrics = Metrics()
    metrics.count("r", "m", "h", 200, code="c", duration=1.0, first=1.0, usage=Usage())
    metrics.host_failures.labels("c", "m", "h").inc()
    metrics.host_up.labels("h").set(1)
    found = {}
    for family in text_string_to_metric_families(metrics.render([("m", "h", 1)]).decode()):
        labels = [label for label in family.samples[0].labels if label != "le"]
        if family.name.endswith("_created"):  # when a counter began: the library adds it to each
            continue
        found[family.name + ("_total" if family.type == "counter" else "")] = set(labels)

    assert {name: set(labels.split(", ")) for name, labels in rows.items()} == found


def test_every_error_has_a_row_with_its_status_and_code():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", section(read("chat.md"), "Errors"), re.MULTILINE)

    def tree(kind: type[errors.GatewayError]) -> set[tuple[str, str]]:
        below = {row for child in kind.__subclasses__() for row in tree(child)}
        return below | {(str(kind.status), kind.default_code)}

    unseen = {("499", errors.CallerLeft.default_code)}
    assert tree(errors.GatewayError) - unseen <= set(rows)


def test_every_option_is_named():
    text = section(read("chat.md"), "Extension fields")

    assert [option for option in (*KNOWN, *RETIRED) if f"`{option}`" not in text] == []


def test_every_field_of_a_completion_is_named():
    text = read("completions.md")

    assert [field for field in {*completions_request.READ, *COMPLETION} if f"`{field}`" not in text] == []


def test_every_field_of_a_request_for_vectors_is_named():
    text = read("embeddings.md")

    assert [field for field in {*embeddings.READ, *LOAD, "truncate", "keep_alive"} if f"`{field}`" not in text] == []


def test_every_header_is_named():
    sources = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    headers = set(re.findall(r'b"(x-[a-z-]+)"', sources)) - {"x-accel-buffering"}

    assert {header for header in headers if f"`{header}`" not in read("chat.md")} == set()


def test_every_log_event_is_named():
    sources = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    events = set(re.findall(r'\blog\(\s*"([a-z ]+)"', sources)) - {"request"}

    assert {event for event in events if f"`{event}`" not in read("operations.md")} == set()


def test_every_link_leads_somewhere():
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]

    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_address_of_ollamas_api_is_explained():
    gateway = Gateway(Settings(demo=False))
    routes = [route for route in (*gateway._routes(), *gateway._management()) if isinstance(route, Route)]
    text = read("ollama.md").partition("\n## Errors\n")[0]
    named = set(re.findall(r"`(/(?:api/[\w/{}]+)?)`|`(?:GET|HEAD|POST|DELETE) (/api/[\w/{}]+)`", text))

    assert {route.path for route in routes if route.path.startswith("/api/") or route.path == "/"} == {
        path for pair in named for path in pair if path
    }
