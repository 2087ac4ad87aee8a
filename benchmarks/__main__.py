"""The command: measures what is asked for, and prints one table."""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import to_builtins

from benchmarks.cases import CASES, SCRIPTS, Bench, Case
from benchmarks.load import LoadError
from benchmarks.measure import Spread
from benchmarks.processes import Cores, StartError, host, on
from benchmarks.table import Results, heading, methods, table
from benchmarks.targets import Gateway, Nginx, Target


def main() -> int:
    """Measure, and return the exit status: 0 when there are figures, whatever they are, else 1."""
    options = _parser().parse_args()
    if sys.platform != "linux":
        print("This needs Linux: CPU time and memory are read from /proc.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    _allow_files()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    targets: list[Target] = [Gateway(), *([Nginx()] if Nginx.command() else [])]
    cores = Cores.choose()
    print(*heading(cores), sep="\n", flush=True)
    try:
        with ExitStack() as stack:
            stack.enter_context(on(cores.load))
            bench = Bench(stack.enter_context(host(SCRIPTS)), cores, stack)
            results = {
                key: seen for case in cases for key, seen in _measure(case, bench, targets, options.quick).items()
            }
    except (LoadError, StartError) as error:
        print(f"There are no figures: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print("", *table(cases, results, [target.name for target in targets]), "", *methods(cases), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(to_builtins(results), indent=1) + "\n")
    return 0


def _measure(case: Case, bench: Bench, targets: Sequence[Target], quick: bool) -> Results:
    """Return a spread for each figure and target. The targets take turns, so that all see the machine's moods."""
    windows = 1 if quick else case.windows
    seen: dict[str, list[tuple[float, ...]]] = {target.name: [] for target in targets}
    for index in range(windows):
        for target in targets:
            _say(f"{case.name} {index + 1} of {windows}: {target.name}")
            seen[target.name].append(case.window(bench, target, case.seconds / 4 if quick else case.seconds))
    _say("")
    return {
        figure.key: {name: Spread.of([values[place] for values in windows]) for name, windows in seen.items()}
        for place, figure in enumerate(case.figures)
    }


def _say(what: str) -> None:
    """Show on a terminal what is being done, over what was shown before."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _allow_files() -> None:
    """Let this process and its children open as many files as the system allows: a stream takes two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure the gateway, with nginx as the scale."
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short window of each: to see that it works, not for figures"
    )
    parser.add_argument(
        "--only", action="append", choices=[case.name for case in CASES], help="this case; may be given again"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
