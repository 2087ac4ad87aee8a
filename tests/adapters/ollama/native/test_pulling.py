from __future__ import annotations

import pytest

from adapters.ollama.native.management import decode_pull
from adapters.ollama.native.progress import Progress
from adapters.ollama.native.pulling import Step, decode_step, encode_pull, encode_step

LAYER = '{"status":"pulling 6a0746a1ec1a","digest":"sha256:6a0746a1ec1a","total":200'


def test_a_pull_asks_for_what_decodes_to_the_same_model_and_for_progress():
    call = encode_pull('ünï/"llama"')
    asked = decode_pull(call.body)

    assert (call.method, call.target, call.headers) == ("POST", "/api/pull", ((b"content-type", b"application/json"),))
    assert (asked.model, asked.stream) == ('ünï/"llama"', True)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ('{"status":"pulling manifest"}', Step(status="pulling manifest")),
        (LAYER + "}", Step(status="pulling 6a0746a1ec1a", digest="sha256:6a0746a1ec1a", total=200)),
        (LAYER + ',"completed":150}', Step(status="pulling 6a0746a1ec1a", digest="sha256:6a0746a1ec1a", total=200, completed=150)),
        ('{"error":"pull model manifest: file does not exist"}', Step(error="pull model manifest: file does not exist")),
        ('{"status":"success","of":"a newer server"}', Step(status="success")),
    ],
)  # fmt: skip
def test_a_line_says_how_far_it_is(line, step):
    assert decode_step(line.encode()) == step


@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]])
def test_every_line_of_progress_can_be_read(hosts):
    progress = Progress(hosts)
    lines = [
        line
        for said in ('{"status":"pulling manifest"}', LAYER + ',"completed":200}', '{"status":"success"}')
        for host in hosts
        for line in progress.feed(host, said.encode())
    ]
    steps = [decode_step(line) for line in [*lines, progress.end(enough=True)]]

    assert steps[0] == Step(status="pulling manifest")
    assert [step.ends for step in steps] == [False] * (len(steps) - 1) + [True]


@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]])
def test_every_line_about_a_failure_can_be_read(hosts):
    progress = Progress(hosts)
    steps = [decode_step(line) for line in [*progress.fail("a", "gone"), progress.end(enough=False)]]

    assert [step.status for step in steps[:-1]] == ["a failed: gone"] * (len(hosts) - 1)
    assert steps[-1].error
    assert steps[-1].ends


@pytest.mark.parametrize(
    ("step", "layer"),
    [
        (Step("pulling a", "sha256:a", 1), ("pulling a", "sha256:a")),
        (Step("pulling a", "sha256:a", 2**50, 5), ("pulling a", "sha256:a")),
        (Step("pulling a", "sha256:a", 2**50 + 1), None),
        (Step("pulling a", "sha256:a"), None),
        (Step("pulling a", "sha256:a", -1), None),
        (Step("pulling a", "", 1), None),
    ],
)
def test_a_line_is_about_a_layer_when_it_has_a_digest_and_a_size(step, layer):
    assert step.layer == layer


@pytest.mark.parametrize("line", [b'{"status":"x"}', b'{"status":"x","digest":"y","total":1,"completed":1}', b"{}"])
def test_what_is_not_said_is_not_written(line):
    assert encode_step(decode_step(line)) == line
