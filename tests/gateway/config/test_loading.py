from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from gateway.config import ConfigError, HostSettings, KeySettings, ModelSettings, Settings, Timeouts, load
from gateway.config.loading import variables

ROOT = Path(__file__).parents[3]


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        file: Path = tmp_path / "config.yaml"
        file.write_text(text)
        return file

    return write


def problems(file: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {})
    return [str(problem).replace(str(file), "FILE") for problem in caught.value.problems]


def test_nothing_is_required():
    assert load(None, {}) == Settings()


def test_an_empty_file_is_the_defaults(write):
    assert load(write("# nothing\n"), {}) == Settings()


def test_the_shipped_file_is_the_defaults():
    assert load(ROOT / "config.yaml", {}) == Settings()


def test_the_shipped_file_has_every_key():
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())

    assert list(shipped) == list(Settings.__struct_fields__)
    assert list(shipped["timeouts"]) == list(Timeouts.__struct_fields__)
    assert list(shipped["hosts"][0]) == list(HostSettings.__struct_fields__)


@pytest.mark.parametrize(("table", "kind"), [("models", ModelSettings), ("keys", KeySettings)])
def test_the_shipped_file_shows_every_key_of_what_is_empty_in_it(table, kind):
    """The examples stand in comments above the empty table."""
    text = (ROOT / "config.yaml").read_text()
    comments = text[: text.index(f"\n{table}:")].rpartition("\n\n")[2]

    assert [name for name in kind.__struct_fields__ if f"{name}:" not in comments] == []


def test_the_whole_of_a_file(write):
    file = write(
        """
listen: 0.0.0.0:8080
hosts:
  - url: http://127.0.0.1:11434
  - url: https://gpu-2.lan/ollama
    name: gpu-2
    parallel: 4
    headers: {Authorization: "Bearer ${GPU2_TOKEN}"}
models:
  llama3.2:
    aliases: [gpt-4o-mini]
    options: {num_ctx: 8192, stop: ["<end>"]}
    keep_alive: 30m
    think: low
    truncate: true
  qwen3:
keys:
  - {name: alice, secret: "${ALICE_KEY}"}
timeouts: {between: 30, total: null}
"""
    )

    settings = load(file, {"GPU2_TOKEN": "t0ken", "ALICE_KEY": "sk-alice-1234"})

    assert settings == Settings(
        listen="0.0.0.0:8080",
        hosts=(
            HostSettings(url="http://127.0.0.1:11434"),
            HostSettings(
                url="https://gpu-2.lan/ollama", name="gpu-2", parallel=4, headers={"Authorization": "Bearer t0ken"}
            ),
        ),
        models={
            "llama3.2": ModelSettings(
                aliases=("gpt-4o-mini",),
                options={"num_ctx": 8192, "stop": ["<end>"]},
                keep_alive="30m",
                think="low",
                truncate=True,
            ),
            "qwen3": ModelSettings(),
        },
        keys=(KeySettings(name="alice", secret="sk-alice-1234"),),
        timeouts=Timeouts(between=30),
    )


MISTAKES = [
    ("hots: []", "FILE:1: hots: unknown setting. Did you mean hosts?"),
    (
        "hosts:\n  - url: http://a\n    prallel: 2",
        "FILE:3: hosts[0].prallel: unknown setting. Did you mean parallel?",
    ),
    ("timeouts:\n  conect: 1", "FILE:2: timeouts.conect: unknown setting. Did you mean connect?"),
    (
        "models:\n  a:\n    color: red",
        "FILE:3: models.a.color: unknown setting. Known here: aliases, options, keep_alive, think, truncate.",
    ),
    ("probe_interval: fast", "FILE:1: probe_interval: expected `float`, got `str`"),
    ("hosts:\n  - url: 5", "FILE:2: hosts[0].url: expected `str`, got `int`"),
    ("hosts:\n  - name: a", "FILE:2: hosts[0]: object missing required field `url`"),
    ("hosts: http://a", "FILE:1: hosts: expected `array`, got `str`"),
    ("- listen", "FILE: must be a mapping of settings. Begin with a line such as `listen: 127.0.0.1:11435`."),
    ("listen: 'a", "FILE:1: not valid YAML: found unexpected end of stream"),
    ("a: b: c", "FILE:1: not valid YAML: mapping values are not allowed here"),
    ("grace: 1\ngrace: 2", "FILE:2: grace: given twice, first on line 1"),
    ("listen: ${NOWHERE}", "FILE:1: listen: the environment variable NOWHERE is not set"),
    ("auth: nobody", "FILE:1: auth: invalid enum value 'nobody'"),
    (
        "listen: '11435'",
        "FILE:1: listen: '11435' is not an address and a port. Write 127.0.0.1:11435 or 0.0.0.0:11435.",
    ),
    (
        "listen: 127.0.0.1:70000",
        "FILE:1: listen: '127.0.0.1:70000' is not an address and a port. Write 127.0.0.1:11435 or 0.0.0.0:11435.",
    ),
    (
        "listen: 0.0.0.0:80",
        "FILE:1: listen: 0.0.0.0:80 can be reached from other machines, and no key protects it. "
        "Add one under `keys`, listen on 127.0.0.1, or write `auth: none` if everyone may use it.",
    ),
    (
        "hosts:\n  - url: gpu-2.lan:11434",
        "FILE:2: hosts[0].url: 'gpu-2.lan:11434' is not an address of a host. Write it as http://gpu-2.lan:11434.",
    ),
    ("hosts:\n  - url: http://a/?x=1", "FILE:2: hosts[0].url: must end with the path"),
    ("hosts:\n  - url: http://a\n    parallel: 0", "FILE:3: hosts[0].parallel: must be at least 1"),
    ("hosts:\n  - {url: http://a, name: a b}", "FILE:2: hosts[0].name: must be 1 to 64 visible ASCII characters"),
    (
        "hosts:\n  - url: http://a\n  - url: http://a",
        "FILE:3: hosts[1].name: 'a' is already the name of hosts[0]. Give each host a name of its own.",
    ),
    (
        "hosts:\n  - {url: http://a, name: demo}",
        "FILE:2: hosts[0].name: 'demo' is already the name of the demo host. Give each host a name of its own.",
    ),
    (
        'hosts:\n  - url: http://a\n    headers: {X: "a\\nb"}',
        "FILE:3: hosts[0].headers.X: is not a header that can be sent",
    ),
    (
        "models:\n  a: {options: {num_ctx: big}}",
        "FILE:2: models.a.options.num_ctx: num_ctx must be an integer",
    ),
    (
        "models:\n  a: {options: {tfs_z: 1}}",
        "FILE:2: models.a.options.tfs_z: is no longer an option of Ollama. Remove it.",
    ),
    ("models:\n  a: {options: {stop: x}}", "FILE:2: models.a.options.stop: must be a list of texts"),
    (
        "models:\n  a: {keep_alive: soon}",
        'FILE:2: models.a.keep_alive: keep_alive must be a number of seconds or a duration such as "10m" or "1h30m"',
    ),
    (
        "models:\n  a: {aliases: [x]}\n  b: {aliases: [X]}",
        "FILE:3: models.b.aliases[0]: 'X' already names a. A name can mean one model only.",
    ),
    (
        "models:\n  a: {aliases: ['a:latest']}",
        "FILE:2: models.a.aliases[0]: 'a:latest' already names a. A name can mean one model only.",
    ),
    (
        "keys:\n  - {name: a}",
        "FILE:2: keys[0]: needs either `secret` or `sha256`. A secret is best kept in the environment: `secret: ${ALICE_KEY}`.",
    ),
    ("keys:\n  - {name: a b, secret: 12345678}", "FILE:2: keys[0].secret: expected `str`, got `int`"),
    ("keys:\n  - {name: a b, secret: x2345678}", "FILE:2: keys[0].name: must be 1 to 64 visible ASCII characters"),
    (
        "keys:\n  - {name: a, secret: x}",
        "FILE:2: keys[0].secret: must be 8 to 512 visible ASCII characters. Make one with `openssl rand -hex 24`.",
    ),
    (
        "keys:\n  - {name: a, sha256: x}",
        'FILE:2: keys[0].sha256: must be 64 hexadecimal digits. Make it with `printf %s "$KEY" | sha256sum`.',
    ),
    (
        "auth: none\nkeys:\n  - {name: a, secret: x2345678}",
        "FILE:1: auth: is none, but there are keys. Remove the keys, or remove `auth: none` so that they count.",
    ),
    ("max_body: 0", "FILE:1: max_body: must be more than 0"),
    ("grace: -1", "FILE:1: grace: must not be negative"),
    ("timeouts: {total: 0}", "FILE:1: timeouts.total: must be more than 0. For no limit, write null."),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES, ids=[problem[:60] for _, problem in MISTAKES])
def test_a_mistake_is_named_with_its_line_its_key_and_what_was_meant(write, text, problem):
    assert problems(write(text)) == [problem]


def test_all_mistakes_are_told_at_once(write):
    found = problems(write("hots: []\nhosts:\n  - {url: http://a, nme: b}\nprobe_interval: x\n"))

    assert [line.split(": ")[1] for line in found] == ["hots", "hosts[0].nme", "probe_interval"]


def test_two_keys_of_one_name_are_refused(write):
    text = "keys:\n  - {name: a, secret: x2345678}\n  - {name: a, secret: y2345678}"

    assert problems(write(text)) == ["FILE:3: keys[1].name: 'a' is given twice. Give each key a name of its own."]


def test_a_file_that_is_not_there(tmp_path):
    assert problems(tmp_path / "none.yaml")[0].startswith("FILE: cannot be read: ")


def test_a_file_that_is_not_text(tmp_path):
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe\x00")

    assert problems(file)[0].startswith("FILE: cannot be read: ")


def test_no_secret_shows_in_a_repr(write):
    settings = load(
        write("keys:\n  - {name: a, secret: s3cr3t-s3cr3t}\nhosts: [{url: http://a, headers: {A: t0ken}}]"), {}
    )

    assert "s3cr3t" not in repr(settings)
    assert "t0ken" not in repr(settings)


def test_the_environment_wins_over_the_file(write):
    file = write("listen: 127.0.0.1:1\ntimeouts: {connect: 1, between: 2}\nhosts: [{url: http://a}]")
    environ = {
        "OLLAMA_GATEWAY_LISTEN": "127.0.0.1:2",
        "OLLAMA_GATEWAY_TIMEOUTS_BETWEEN": "3",
        "OLLAMA_GATEWAY_HOSTS": "[{url: http://b}, {url: http://c}]",
        "OLLAMA_GATEWAY_CONFIG": "elsewhere",
    }

    assert load(file, environ) == Settings(
        listen="127.0.0.1:2",
        timeouts=Timeouts(connect=1, between=3),
        hosts=(HostSettings(url="http://b"), HostSettings(url="http://c")),
    )


def test_every_key_has_a_variable():
    names = {name for name in variables() if not name.startswith("OLLAMA_GATEWAY_TIMEOUTS_")}

    assert names == {f"OLLAMA_GATEWAY_{name.upper()}" for name in Settings.__struct_fields__}
    assert len(variables()) == len(names) + len(Timeouts.__struct_fields__)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"OLLAMA_GATEWAY_LISTN": "x"},
            "OLLAMA_GATEWAY_LISTN: no setting has this variable. Did you mean OLLAMA_GATEWAY_LISTEN?",
        ),
        ({"OLLAMA_GATEWAY_WHAT_IS_THIS": "x"}, "OLLAMA_GATEWAY_WHAT_IS_THIS: no setting has this variable"),
        ({"OLLAMA_GATEWAY_GRACE": "x"}, "OLLAMA_GATEWAY_GRACE: grace: expected `float`, got `str`"),
        ({"OLLAMA_GATEWAY_HOSTS": "[{url: 1}]"}, "OLLAMA_GATEWAY_HOSTS: hosts[0].url: expected `str`, got `int`"),
    ],
)
def test_a_mistake_in_the_environment_is_named(environ, problem):
    assert problems(None, environ) == [problem]


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("gpu.lan", "http://gpu.lan:11434"),
        ("gpu.lan:8080", "http://gpu.lan:8080"),
        ("http://gpu.lan", "http://gpu.lan:80"),
        ("https://gpu.lan/ollama", "https://gpu.lan:443/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":9999", "http://127.0.0.1:9999"),
        ("[::]:9999", "http://[::1]:9999"),
        ("[::1]", "http://[::1]:11434"),
    ],
)
def test_ollama_host_says_where_ollama_is(value, url):
    assert load(None, {"OLLAMA_HOST": value}).hosts == (HostSettings(url=url),)


def test_configured_hosts_win_over_ollama_host(write):
    assert load(write("hosts: [{url: http://a}]"), {"OLLAMA_HOST": "b"}).hosts == (HostSettings(url="http://a"),)


def test_settings_are_values():
    with pytest.raises(AttributeError):
        setattr(Settings(), "lis" + "ten", "x")
    assert msgspec.to_builtins(Settings())["demo"] is True
