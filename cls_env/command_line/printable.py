"""Text of others, such as names of files, that is safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Text in which control characters, and others that can't be shown, are escaped.

    >>> printable("\x1b[31mred\n")
    '\\x1b[31mred\\n'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
