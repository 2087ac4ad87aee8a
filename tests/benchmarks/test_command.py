"""The command as a whole: the gateway is really started and asked, and the table says what was seen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.cases import CASES, SCRIPTS, SHORT, VECTORS, Case
from benchmarks.load import drive
from benchmarks.measure import Spread, cpu_seconds, percentile, resident_bytes
from benchmarks.processes import StartError, host, running
from benchmarks.table import table
from benchmarks.targets import NATIVE, OPENAI, Gateway, Target

ROOT = Path(__file__).parents[2]
DIALECTS = (OPENAI, NATIVE)
COMMAND = [sys.executable, "-m", "benchmarks"]


def test_one_figure_of_everything_that_is_installed(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"

    result = subprocess.run(
        [*COMMAND, "--quick", "--only", "start", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stderr == ""
    assert "one process" in result.stdout
    assert "Ready after, s" in result.stdout
    spread = json.loads(file.read_text())["ready_s"]["gateway"]
    assert 0 < spread["low"] <= spread["median"] <= spread["high"]


def test_the_gateway_answers_as_the_load_generator_expects() -> None:
    gateway = Gateway()
    with host(SCRIPTS) as port, running(gateway, port, None) as process:
        questions = [
            *(
                gateway.question(SHORT, stream=stream, dialect=dialect)
                for stream in (False, True)
                for dialect in DIALECTS
            ),
            *(gateway.vectors_question(VECTORS, encoding) for encoding in ("float", "base64")),
            gateway.vectors_question(VECTORS, "float", dialect=NATIVE),
        ]
        for question in questions:
            window = drive(process.address, question, lambda: None, callers=2, seconds=0.1, warm_up=0.1)
            assert window.answers
        assert cpu_seconds(process.pid) > 0
        assert resident_bytes(process.pid) > 10_000_000


def test_a_target_that_ends_at_once_is_told_with_what_it_said() -> None:
    class Broken(Target):
        name = "broken"
        ready = "/"

        def prepare(self, directory: Path, port: int, host: int) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('I cannot')"]

    with pytest.raises(StartError, match="I cannot"), running(Broken(), 1, None):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_that_was_started(number: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--only", "chat"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = _wait_for_children(process.pid)
        process.send_signal(number)
        assert process.wait(20) == 128 + number

    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_the_children_of_a_process_count_with_it() -> None:
    busy = "sum(range(10**7))"
    script = (
        f"import subprocess, sys; {busy}; subprocess.run([sys.executable, '-c', '{busy}; print(flush=True); input()'])"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        (child,) = _wait_for_children(process.pid)
        assert cpu_seconds(process.pid) > cpu_seconds(child) > 0
        assert resident_bytes(process.pid) > resident_bytes(child) > 0
        process.stdin.close()


def test_the_table_has_the_median_the_range_and_the_ratio_of_each_figure() -> None:
    case = _case("memory")
    seen = {"gateway": Spread.of([30, 10, 26]), "nginx": Spread.of([13])}

    lines = table([case], {figure.key: seen for figure in case.figures}, ["gateway", "nginx"])

    assert [" ".join(line.split()) for line in lines] == [
        "goal gateway nginx gateway / nginx",
        "Memory when idle, MB ≤ 70 26.0 (10.0 – 30.0) 13.0 (13.0 – 13.0) 2.0",
        "Memory per open stream, 1,000 streams, kB ≤ 40 26.0 (10.0 – 30.0) 13.0 (13.0 – 13.0) 2.0",
    ]


def test_a_goal_may_be_a_multiple_of_what_nginx_takes() -> None:
    case = _case("vectors")
    seen = {"gateway": Spread.of([300]), "nginx": Spread.of([200])}

    lines = table([case], {figure.key: seen for figure in case.figures}, ["gateway", "nginx"])

    assert " ".join(lines[1].split()).endswith("≤ 1.5 × nginx 300 (300 – 300) 200 (200 – 200) 1.5")


def test_without_nginx_the_table_has_the_gateway_alone() -> None:
    lines = table([_case("start")], {"ready_s": {"gateway": Spread.of([0.25])}}, ["gateway"])

    assert " ".join(lines[1].split()) == "Ready after, s ≤ 0.6 0.25 (0.25 – 0.25)"


@pytest.mark.parametrize(("share", "value"), [(0, 1), (0.5, 3), (0.99, 5), (1, 5)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile([5, 3, 1, 2, 4], share) == value


def _case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def _wait_for_children(pid: int) -> list[int]:
    """Return the children of a process as soon as it has some."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.01)
    return [int(child) for child in found]
