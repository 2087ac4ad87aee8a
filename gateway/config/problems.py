"""What can be wrong with a configuration, said so that it can be mended."""

from __future__ import annotations

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """One mistake: where it is, what it is, and what was probably meant.

    Attributes:
        source: The file or environment variable.
        line: The line in it, from 1; None when there is none.
        key: The path of the setting, such as `hosts[0].url`.
        message: What is wrong.
        hint: What to do about it.
    """

    source: str
    line: int | None = None
    key: str = ""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        what = f"{self.key}: {self.message}" if self.key else self.message
        return f"{where}: {what}" + (f". {self.hint}" if self.hint else "")


class ConfigError(Exception):
    """A configuration that cannot be used.

    Attributes:
        problems: All that is wrong with it.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
