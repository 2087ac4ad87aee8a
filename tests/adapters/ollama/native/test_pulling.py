from __future__ import annotations

import pytest

from adapters.ollama.native.management import decode_pull
from adapters.ollama.native.progress import Progress
from adapters.ollama.native.pulling import Step, decode_step, encode_pull

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
    steps = [decode_step(line) for line in [*lines, *progress.fail(hosts[0], "gone"), progress.end(enough=False)]]

    assert steps[0] == Step(status="pulling manifest")
    assert steps[-1].error
    assert [step.ends for step in steps].count(True) == 1
    assert decode_step(b'{"status":"success"}').ends
