from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import InvalidRequest
from adapters.ollama.native.modelfile import Modelfile, decode_modelfile
from adapters.options import KNOWN, RETIRED

DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")

WHOLE = '''\
# a model of our own
FROM llama3.2:1b

PARAMETER temperature 0.7
PARAMETER num_ctx 4096
PARAMETER stop "<|end|>"
PARAMETER stop <|user|>
TEMPLATE """{{ if .System }}{{ .System }}{{ end }}
{{ .Prompt }}"""
SYSTEM You are "Mario".
MESSAGE user Is Toronto in Canada?
MESSAGE assistant yes
LICENSE MIT
LICENSE """
Apache
"""
'''


def test_a_whole_one() -> None:
    assert decode_modelfile(WHOLE) == Modelfile(
        {
            "from": "llama3.2:1b",
            "parameters": {"temperature": 0.7, "num_ctx": 4096, "stop": ["<|end|>", "<|user|>"]},
            "template": "{{ if .System }}{{ .System }}{{ end }}\n{{ .Prompt }}",
            "system": 'You are "Mario".',
            "messages": [
                {"role": "user", "content": "Is Toronto in Canada?"},
                {"role": "assistant", "content": "yes"},
            ],
            "license": ["MIT", "\nApache\n"],
        }
    )


# --- the text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("SYSTEM a b", "a b"),
        ("system a", "a"),
        ("SyStEm a", "a"),
        ("  \t SYSTEM \t a \t ", "a"),
        ("SYSTEM a # no comment", "a # no comment"),
        ("# SYSTEM b\nSYSTEM a\n  # SYSTEM c", "a"),
        ("SYSTEM a\nSYSTEM b", "b"),
        ("SYSTEM", ""),
        ("SYSTEM ''", "''"),
        ('SYSTEM ""', ""),
        ('SYSTEM """"""', ""),
        ('SYSTEM " a "', " a "),
        ('SYSTEM "a\nb"', "a\nb"),
        ('SYSTEM "a\n\n# b\nSYSTEM c"\n', "a\n\n# b\nSYSTEM c"),
        ('SYSTEM "say "please""', 'say "please"'),
        ('SYSTEM """a"""', "a"),
        ('SYSTEM """ a """  \t', " a "),
        ('SYSTEM """a""""', 'a"'),
        ('SYSTEM """\na\n"b"\n"""', '\na\n"b"\n'),
        ('SYSTEM """a""" b\n"""', 'a""" b\n'),
        ('SYSTEM """a\nFROM b"""', "a\nFROM b"),
        ('SYSTEM a"', 'a"'),
        (r'SYSTEM "a\nb"', r"a\nb"),
        ("SYSTEM 你好 می\N{ZERO WIDTH NON-JOINER}خواهم", "你好 می\N{ZERO WIDTH NON-JOINER}خواهم"),
    ],
)
@pytest.mark.parametrize("around", ["FROM x\n{}", "{}\nFROM x", "\ufefffrom x\r\n{}\r\n\r\n", "FROM x\r{}\r"])
def test_a_text_ends_where_ollama_ends_it(text: str, system: str, around: str) -> None:
    assert decode_modelfile(around.format(text)) == Modelfile({"from": "x", "system": system})


def test_windows_line_ends_stay_within_a_text_and_mean_nothing_else() -> None:
    said = decode_modelfile(WHOLE.replace("\n", "\r\n"))
    assert said.fields["license"] == ["MIT", "\r\nApache\r\n"]
    assert said.fields["parameters"] == {"temperature": 0.7, "num_ctx": 4096, "stop": ["<|end|>", "<|user|>"]}


# --- its commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("FROM x\nFROM y", {"from": "y"}),
        ("FROM hf.co/someone/model-GGUF:Q4_K_M.gguf", {"from": "hf.co/someone/model-GGUF:Q4_K_M.gguf"}),
        ("FROM registry.example/team/x:1.5", {"from": "registry.example/team/x:1.5"}),
        ("FROM a/b/c/d/e", {"from": "a/b/c/d/e"}),
        ('FROM "x"', {"from": "x"}),
        (f"FROM @{DIGEST}", {"files": {"model.gguf": DIGEST}}),
        (f"FROM @{DIGEST}\nFROM @{OTHER}", {"files": {"model.gguf": DIGEST, "model-2.gguf": OTHER}}),
        ("FROM @nope", {"files": {"model.gguf": "nope"}}),
        (f"FROM x\nADAPTER @{DIGEST}", {"from": "x", "adapters": {"adapter.gguf": DIGEST}}),
        (f"FROM x\nDRAFT @{DIGEST}", {"from": "x", "draft_files": {"draft.gguf": DIGEST}}),
        ("FROM x\nRENDERER qwen3\nPARSER qwen3", {"from": "x", "renderer": "qwen3", "parser": "qwen3"}),
        ("FROM x\nREQUIRES v0.14.0", {"from": "x", "requires": "0.14.0"}),
        ("FROM x\nREQUIRES 0.14", {"from": "x", "requires": "0.14"}),
        ("FROM x\nREQUIRES 0.14.0-rc1+a", {"from": "x", "requires": "0.14.0-rc1+a"}),
        ("FROM x\nMESSAGE  system  a: b", {"from": "x", "messages": [{"role": "system", "content": "a: b"}]}),
        ('FROM x\nmessage user "a\nb"', {"from": "x", "messages": [{"role": "user", "content": "a\nb"}]}),
    ],
)
def test_what_a_command_becomes(text: str, fields: dict[str, Any]) -> None:
    assert decode_modelfile(text) == Modelfile(fields)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("num_ctx 4096", 4096),
        ("num_ctx -1", -1),
        ("seed +9223372036854775807", 2**63 - 1),
        ("num_predict 0", 0),
        ('temperature "0.7"', 0.7),
        ("temperature 1", 1.0),
        ("top_p .5", 0.5),
        ("top_p 5.", 5.0),
        ("min_p 1e-2", 0.01),
        ("use_mmap true", True),
        ("use_mmap F", False),
        ("use_mmap 1", True),
        ("stop a b", ["a b"]),
        ('stop ""', [""]),
        ("seed 1\nPARAMETER seed 2", 2),
    ],
)
def test_a_parameter_has_the_type_of_its_option(said: str, value: Any) -> None:
    parameters = decode_modelfile(f"FROM x\nPARAMETER {said}").fields["parameters"]
    assert parameters == {said.split()[0]: value}
    assert type(parameters[said.split()[0]]) is type(value)


@pytest.mark.parametrize("name", [*KNOWN, "stop"])
def test_every_option_can_be_a_parameter(name: str) -> None:
    assert decode_modelfile(f"FROM x\nPARAMETER {name} 1").fields["parameters"][name] in (1, True, ["1"])


def test_parameters_that_ollama_no_longer_has_are_named_and_not_sent() -> None:
    text = "FROM x\n" + "".join(f"PARAMETER {name} 1\n" for name in [*sorted(RETIRED), "mirostat"])
    assert decode_modelfile(text) == Modelfile({"from": "x"}, tuple(f"modelfile.{name}" for name in sorted(RETIRED)))


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "modelfile: no FROM line; say what the model is made from, such as FROM llama3.2"),
        ("# FROM x", "modelfile: no FROM line"),
        (f"ADAPTER @{DIGEST}", "modelfile: no FROM line"),
        (
            f"FROM x\nFROM @{DIGEST}",
            "modelfile: it is made from a model and from a file; leave out one of the FROM lines",
        ),
        ("FROM", "modelfile line 1: FROM has no value"),
        ('FROM x\nADAPTER ""', "modelfile line 2: ADAPTER has no value"),
        (
            "FRM x",
            "modelfile line 1: 'FRM' is no command; use one of FROM, TEMPLATE, SYSTEM, PARAMETER, MESSAGE, LICENSE,",
        ),
        ("FROM: x", "modelfile line 1: 'FROM:' is no command"),
        ("FROM x\n\n\n" + "B" * 100, f"modelfile line 4: '{'B' * 60}…' is no command"),
        ("FROM x\r\n\r\nB", "modelfile line 3: 'B' is no command"),
        ("FROM x\r\rB", "modelfile line 3: 'B' is no command"),
        ('SYSTEM """\n\n"""\nB', "modelfile line 4: 'B' is no command"),
        ('FROM x\nSYSTEM "a\n', """modelfile line 2: the text of SYSTEM is not closed; end its last line with \""""),
        ('SYSTEM """a""\n', 'modelfile line 1: the text of SYSTEM is not closed; end its last line with """'),
        ('FROM x\nMESSAGE user """', "modelfile line 2: the text of MESSAGE is not closed"),
        (
            "FROM x\nMESSAGE tool a",
            "modelfile line 2: a message is said by one of system, user, assistant, not by 'tool'",
        ),
        ("FROM x\nMESSAGE", "modelfile line 2: a message is said by one of system, user, assistant, not by ''"),
        ("FROM x\nREQUIRES new", "modelfile line 2: REQUIRES must be a version such as 0.14.0, not 'new'"),
        ("FROM x\nPARAMETER foo 1", "modelfile line 2: there is no parameter 'foo'; use one of draft_num_predict,"),
        ("FROM x\nPARAMETER", "modelfile line 2: there is no parameter ''"),
        ("FROM x\nPARAMETER num_ctx 1.5", "modelfile line 2: num_ctx must be an integer, not '1.5'"),
        ("FROM x\nPARAMETER num_ctx 9223372036854775808", "modelfile line 2: num_ctx must be an integer"),
        ("FROM x\nPARAMETER num_ctx " + "9" * 5000, "modelfile line 2: num_ctx must be an integer"),
        ("FROM x\nPARAMETER num_ctx", "modelfile line 2: num_ctx must be an integer, not ''"),
        ("FROM x\nPARAMETER temperature hot", "modelfile line 2: temperature must be a number, not 'hot'"),
        ("FROM x\nPARAMETER temperature inf", "modelfile line 2: temperature must be a number"),
        ("FROM x\nPARAMETER temperature 1e999", "modelfile line 2: temperature must be a number"),
        ("FROM x\nPARAMETER use_mmap yes", "modelfile line 2: use_mmap must be a boolean, not 'yes'"),
    ],
)
def test_a_refusal_tells_the_line_and_what_to_do(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_modelfile(text)
    assert refused.value.message.startswith(message)
    assert refused.value.param == "modelfile"


@pytest.mark.parametrize(
    "path",
    [
        "./x.gguf",
        ".",
        "..",
        "/models/x",
        "~/x",
        "~",
        "C:\\x",
        "c:/x",
        "\\x",
        "x.gguf",
        "dir/x.GGUF",
        "x.safetensors",
        "x.bin",
    ],
)
@pytest.mark.parametrize("command", ["FROM", "ADAPTER", "DRAFT"])
def test_files_of_the_caller_have_to_be_sent_first(command: str, path: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_modelfile(f"FROM x\n{command} {path}")
    assert refused.value.message == (
        f"modelfile line 2: {command} names {path!r}, a file that only the caller has; "
        f"send it to /api/blobs/sha256:… first, and write {command} @sha256:…"
    )


@pytest.mark.parametrize("command", ["ADAPTER", "DRAFT"])
def test_adapters_and_drafts_have_no_names(command: str) -> None:
    with pytest.raises(InvalidRequest, match=f"modelfile line 1: {command} names 'x', a file"):
        decode_modelfile(f"{command} x\nFROM y")


def test_a_text_that_is_longer_than_any_is_refused() -> None:
    from_x = "FROM x\n"
    assert decode_modelfile(from_x.ljust(1_000_000)).fields == {"from": "x"}
    with pytest.raises(InvalidRequest, match="modelfile: it has more than 1000000 characters; shorten it") as refused:
        decode_modelfile(from_x.ljust(1_000_001))
    assert refused.value.param == "modelfile"


@pytest.mark.parametrize("command", ["FROM ", "FROM @", "ADAPTER @", "DRAFT @", "FROM ./"])
def test_a_name_that_is_longer_than_any_is_refused(command: str) -> None:
    word = command.split()[0]
    with pytest.raises(InvalidRequest, match=f"modelfile line 2: {word} has more than 1000 characters, which no name"):
        decode_modelfile(f"SYSTEM x\n{command}{'x' * 1001}")


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["FROM x", "SYSTEM", "PARAMETER", "MESSAGE user", "stop", '"', '"""', "\n", "\r\n", " ", "#", "a"]
        ),
        max_size=20,
    ).map("".join)
)
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(InvalidRequest):
        assert set(decode_modelfile(text).fields) & {"from", "files"}
