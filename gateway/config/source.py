"""YAML text → plain values, and the line on which each of them stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from gateway.config.problems import Problem

Path = tuple[str | int, ...]

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Source:
    """One text with its values.

    Args:
        name: The file, or the environment variable, that it comes from.
        text: What stands there.
        environ: What `${NAME}` stands for.
        literal: Whether the text is a value itself, instead of YAML.

    Attributes:
        name: As given.
        value: What it says: dicts, lists and scalars.
        problems: What is wrong with the text itself.
    """

    def __init__(self, name: str, text: str, environ: Mapping[str, str], *, literal: bool = False) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._lines: dict[Path, int] = {}
        self.value: Any = self._expand(text, (), environ) if literal else self._parse(text, environ)

    def _parse(self, text: str, environ: Mapping[str, str]) -> Any:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                self._walk(node, ())
                return self._expand(loader.construct_document(node), (), environ)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self._problem(mark.line + 1 if mark else None, "", f"not valid YAML: {error.problem or error}")
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self._problem(None, "", f"not valid YAML: {error}")
        finally:
            loader.dispose()
        return None

    def line(self, path: Path) -> int | None:
        """Return the line of a key or list entry, or of the nearest one around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def _problem(self, line: int | None, key: str, message: str) -> None:
        self.problems.append(Problem(source=self.name, line=line, key=key, message=message))

    def _walk(self, node: yaml.Node, path: Path) -> None:
        """Remember where everything stands; names become the texts that they are written as: `3.2`, `yes`."""
        if isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    key.tag = _TEXT
        for key, mark, child in _children(node):
            here = (*path, key)
            if here in self._lines:
                self._problem(mark, write(here), f"given twice, first on line {self._lines[here]}")
            self._lines[here] = mark
            self._walk(child, here)

    def _expand(self, value: Any, path: Path, environ: Mapping[str, str]) -> Any:
        """Replace `${NAME}` in every text by the environment variable of that name."""
        match value:
            case dict():
                return {key: self._expand(item, (*path, key), environ) for key, item in value.items()}
            case list():
                return [self._expand(item, (*path, index), environ) for index, item in enumerate(value)]
            case str():
                for name in _VARIABLE.findall(value):
                    if name not in environ:
                        message = f"the environment variable {name} is not set"
                        self._problem(self.line(path), write(path), message)
                return _VARIABLE.sub(lambda found: environ.get(found[1], ""), value)
            case _:
                return value


def write(path: Path) -> str:
    """Return a path as people write it: `hosts[0].url`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _children(node: yaml.Node) -> Iterator[tuple[str | int, int, yaml.Node]]:
    """Yield each key or index with its line and what stands there."""
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield str(key.value), key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child
