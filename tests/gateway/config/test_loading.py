from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
import pytest
import trustme
import yaml

from adapters.options import KNOWN
from gateway.config import HostSettings, ImageSettings, KeySettings, ModelSettings, Settings, Timeouts, load
from tests.gateway.config.problems import WRITE_URL, problems

ROOT = Path(__file__).parents[3]


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
    assert list(shipped["images"]) == list(ImageSettings.__struct_fields__)
    assert list(shipped["hosts"][0]) == list(HostSettings.__struct_fields__)


@pytest.mark.parametrize(("table", "kind"), [("models", ModelSettings), ("keys", KeySettings)])
def test_the_shipped_file_shows_every_key_of_what_is_empty_in_it(table, kind):
    """The examples stand in comments above the empty table."""
    text = (ROOT / "config.yaml").read_text()
    comments = text[: text.index(f"\n{table}:")].rpartition("\n\n")[2]

    assert [name for name in kind.__struct_fields__ if f"{name}:" not in comments] == []


def test_the_shipped_file_has_no_key_that_works_when_its_sample_is_uncommented():
    assert re.findall(r"[0-9a-fA-F]{64}", (ROOT / "config.yaml").read_text()) == []


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
  - {name: alice, secret: "${ALICE_KEY}", scopes: [admin]}
timeouts: {between: 30, total: null}
images: {fetch: true, allow: [public, nas.lan]}
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
        keys=(KeySettings(name="alice", secret="sk-alice-1234", scopes=("admin",)),),
        timeouts=Timeouts(between=30),
        images=ImageSettings(fetch=True, allow=("public", "nas.lan")),
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
        "FILE:3: models.a.color: unknown setting. Known here: aliases, options, keep_alive, think, truncate, check_schema, templated, placement.",
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
    ("auth: nobody", "FILE:1: auth: 'nobody' means nothing here. Known here: keys, none."),
    ("log: jsn", "FILE:1: log: 'jsn' means nothing here. Did you mean json?"),
    ("models:\n  a: {think: hgh}", "FILE:2: models.a.think: 'hgh' means nothing here. Did you mean high?"),
    (
        "listen: '11435'",
        "FILE:1: listen: '11435' is not an address and a port. Write 127.0.0.1:11435 or 0.0.0.0:11435.",
    ),
    (
        "listen: 127.0.0.1:70000",
        "FILE:1: listen: '127.0.0.1:70000' is not an address and a port. Write 127.0.0.1:11435 or 0.0.0.0:11435.",
    ),
    *(
        (
            f"listen: '{listen}'",
            f"FILE:1: listen: '{listen}' is not an address and a port. Write 127.0.0.1:11435 or 0.0.0.0:11435.",
        )
        for listen in ("[::1:1", "::1]:1", "::1:1", "[zz]:1", "[]:1", "a..b:1", "127.0.0.1:")
    ),
    (
        "listen: 0.0.0.0:80",
        "FILE:1: listen: 0.0.0.0:80 can be reached from other machines, and no key protects it. "
        "Add one under `keys`, listen on 127.0.0.1, or write `auth: none` if everyone may use it.",
    ),
    (
        "hosts:\n  - url: gpu-2.lan:11434",
        f"FILE:2: hosts[0].url: the URL of a host must begin with http:// or https://. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: http://a/?x=1",
        f"FILE:2: hosts[0].url: the URL of a host must end with its path: a query or a fragment has no meaning there. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: 'http://h:1#'",
        f"FILE:2: hosts[0].url: the URL of a host must end with its path: a query or a fragment has no meaning there. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: http://ex!ample",
        f"FILE:2: hosts[0].url: the URL of a host has a name with a character that names do not have. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: http://h%41",
        f"FILE:2: hosts[0].url: the URL of a host has a name with a character that names do not have. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: http://h/é",
        f"FILE:2: hosts[0].url: the path in the URL of a host has a character that must be percent-encoded. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: http://me:s3/cr3t@h",
        f"FILE:2: hosts[0].url: the URL of a host is malformed: its name or its port cannot be read. {WRITE_URL}",
    ),
    (
        'hosts:\n  - url: "http://a\\n"',
        f"FILE:2: hosts[0].url: the URL of a host has a space before it, or a control character in it. {WRITE_URL}",
    ),
    (
        "hosts:\n  - url: http://a\n  - {url: http://b, name: a}",
        "FILE:3: hosts[1].name: 'a' is already the name of hosts[0]. Give each host a name of its own.",
    ),
    (
        "hosts: []\ndemo: false",
        "FILE:1: hosts: is empty, and `demo` is false: no host is left. Add a host, or write `demo: true`.",
    ),
    ("hosts:\n  - url: http://a\n    parallel: 0", "FILE:3: hosts[0].parallel: must be at least 1"),
    ("hosts:\n  - {url: http://a, name: a b}", "FILE:2: hosts[0].name: must be 1 to 64 visible ASCII characters"),
    (
        "hosts:\n  - url: http://a/x\n  - {url: 'HTTP://me:pw@A:80/x/', name: b}",
        "FILE:3: hosts[1].url: is the same host as hosts[0]. Keep one of them, with the `parallel` of the host.",
    ),
    (
        "hosts:\n  - {url: http://a, name: demo}",
        "FILE:2: hosts[0].name: 'demo' is already the name of the demo host. Give each host a name of its own.",
    ),
    (
        'hosts:\n  - url: http://a\n    headers: {X: "a\\nb"}',
        "FILE:3: hosts[0].headers.X: has a character that headers do not have",
    ),
    (
        "hosts:\n  - url: http://a\n    headers: {X: €}",
        "FILE:3: hosts[0].headers.X: has a character that headers do not have",
    ),
    *(
        (
            f"hosts:\n  - url: http://a\n    headers:\n      {name}: x",
            f"FILE:4: hosts[0].headers.{name}: the header '{name.lower()}' cannot be sent to a host",
        )
        for name in ("Host", "Content-Length", "Connection", "TE", "Transfer-Encoding", "a b")
    ),
    (
        "hosts:\n  - url: http://me:pw@a\n    headers: {X: y, Authorization: z}",
        "FILE:3: hosts[0].headers.Authorization: a host must not have both a password in its URL and an Authorization header",
    ),
    (
        "hosts:\n  - url: https://a\n    ca: /nowhere.pem",
        "FILE:3: hosts[0].ca: '/nowhere.pem' cannot be read: No such file or directory",
    ),
    (
        f"hosts:\n  - url: https://a\n    ca: {__file__}",
        f"FILE:3: hosts[0].ca: {__file__!r} has no certificate that can be read. Give a file in the PEM format.",
    ),
    (
        "hosts:\n  - url: http://a\n    ca: /nowhere.pem",
        "FILE:3: hosts[0].ca: has no effect without TLS. Begin the url with https://, or remove `ca`.",
    ),
    (
        "models:\n  a: {options: {num_ctx: big}}",
        "FILE:2: models.a.options.num_ctx: num_ctx must be an integer",
    ),
    ("models:\n  a: {options: {top_p: .nan}}", "FILE:2: models.a.options.top_p: must be a finite number"),
    ("models:\n  a: {keep_alive: .nan}", "FILE:2: models.a.keep_alive: must be a finite number. For ever is -1."),
    (
        "models:\n  7: {options: {8: 9}}",
        f"FILE:2: models.7.options.8: is not an option of Ollama. Known: {', '.join(sorted(KNOWN))}, stop.",
    ),
    ("models:\n  a: false", "FILE:2: models.a: expected `object`, got `bool`"),
    ("models:\n  a: 0", "FILE:2: models.a: expected `object`, got `int`"),
    ("models:\n  '': {}", "FILE:2: models.: must not be empty. Write the name of a model, as in `ollama list`."),
    ("models:\n  a: {aliases: ['']}", "FILE:2: models.a.aliases[0]: must not be empty"),
    (
        "models:\n  llama3.2: {}\n  Llama3.2:latest: {}",
        "FILE:3: models.Llama3.2:latest: means the same model as llama3.2. Keep one of them.",
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
        "keys:\n  - {name: a, secret: x2345678, scopes: [admin, root]}",
        "FILE:2: keys[0].scopes[1]: 'root' means nothing here. Known here: admin.",
    ),
    (
        "keys:\n  - {name: a, secret: x2345678, scopes: [admin, admin]}",
        "FILE:2: keys[0].scopes: names a scope twice. Name each once.",
    ),
    (
        "keys:\n  - {name: a, secret: x2345678, scopes: admin}",
        "FILE:2: keys[0].scopes: expected `array`, got `str`. Write `[admin]`.",
    ),
    ("cors: {origins: '*'}", 'FILE:1: cors.origins: expected `array`, got `str`. Write `["*"]`.'),
    ("hosts: http://gpu-1:11434", "FILE:1: hosts: expected `array`, got `str`"),
    (
        f"keys:\n  - {{name: a, secret: x2345678}}\n  - name: b\n    sha256: {hashlib.sha256(b'x2345678').hexdigest().upper()}",
        "FILE:3: keys[1]: is the same key as that of a. Give each name a key of its own.",
    ),
    (
        "auth: none\nkeys:\n  - {name: a, secret: x2345678}",
        "FILE:1: auth: is none, but there are keys. Remove the keys, or remove `auth: none` so that they count.",
    ),
    *(
        (
            f"images:\n  allow:\n    - public\n    - {entry}",
            f"FILE:4: images.allow[1]: {entry!r} is neither a host nor a network. Write public for every public address, "
            "a host such as nas.lan or nas.lan:8080, or a network such as 10.0.0.0/8.",
        )
        for entry in ("http://nas.lan/", "10.0.0.5/8", "nas.lan:99999")
    ),
    ("images: {allow: nas.lan}", "FILE:1: images.allow: expected `array`, got `str`. Write `[nas.lan]`."),
    ("images: {fetch: sometimes}", "FILE:1: images.fetch: expected `bool`, got `str`"),
    ("images: {max_bytes: 0}", "FILE:1: images.max_bytes: must be a number above 0"),
    *((f"images: {{timeout: {value}}}", "FILE:1: images.timeout: must be a number above 0") for value in ("0", ".inf")),
    ("max_body: 0", "FILE:1: max_body: must be a number above 0"),
    ("max_choices: 0", "FILE:1: max_choices: must be a number above 0"),
    *((f"grace: {value}", "FILE:1: grace: must be a number of seconds, 0 or more") for value in ("-1", ".inf", ".nan")),
    *(
        (f"{name}: {value}", f"FILE:1: {name}: must be a number above 0")
        for name in ("probe_interval", "receive_timeout")
        for value in ("0", ".inf", ".nan")
    ),
    *(
        (
            f"timeouts: {{total: {value}}}",
            "FILE:1: timeouts.total: must be a number above 0. For no limit, write null.",
        )
        for value in ("0", ".inf", ".nan")
    ),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES, ids=[text for text, _ in MISTAKES])
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


def test_names_are_the_texts_that_they_are_written_as(write):
    file = write("models:\n  7:\n  3.20:\n  yes: &shared {aliases: [x]}\n  other: {<<: *shared, aliases: [y]}")

    assert load(file, {}).models == {
        "7": ModelSettings(),
        "3.20": ModelSettings(),
        "yes": ModelSettings(aliases=("x",)),
        "other": ModelSettings(aliases=("y",)),
    }


def test_no_host_but_the_demo_is_allowed(write):
    assert load(write("hosts: []"), {"OLLAMA_HOST": "b"}).hosts == ()


def test_certificates_of_a_file_that_has_some_are_accepted(tmp_path):
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))

    (host,) = load(None, {"OLLAMA_GATEWAY_HOSTS": f"[{{url: 'HTTPS://box', ca: {file}}}]"}).hosts

    assert host.ca == str(file)


def test_settings_are_values():
    with pytest.raises(AttributeError):
        setattr(Settings(), "lis" + "ten", "x")
    assert msgspec.to_builtins(Settings())["demo"] is True
