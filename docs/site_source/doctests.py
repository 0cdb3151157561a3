"""An extension of Griffe: examples in docstrings are shown as code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"(?:^|(?<=\n\n))>>> .*?(?=\n\n|\Z)", re.DOTALL)


def fenced(docstring: str) -> str:
    """A docstring whose examples are fenced."""
    return EXAMPLE.sub(lambda example: f"```python\n{example[0].rstrip()}\n```", docstring)


class FencedExamples(Extension):
    """Fences the examples of all docstrings before they are rendered."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object, if it has one."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
