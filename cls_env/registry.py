"""Named definitions: objectives, methods, datasets and the like, which the command line finds by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, TypeVar

from cls_env.command_line.errors import one_line
from cls_env.specification import check_arguments, lookup, parse_specification, quoted

Value = TypeVar("Value")
Definition = TypeVar("Definition")


def _check_callable(definition: object) -> None:
    if not callable(definition):
        raise TypeError(f"it must be a function or a class, not {definition!r}")


class Registry(MutableMapping[str, Value]):
    """A mapping from names to definitions of one kind, such as objectives.

    Iterating over it lists the names. As with a dict, assigning to a name replaces its definition; `register` does not.

    Args:
        kind: What the definitions are, for messages: "objective".
        entries: Definitions by name.
        inputs: Parameters of a function that its caller passes, and that a specification therefore can't set.
        validate: Called with a definition that is being registered. It raises TypeError or ValueError for a wrong one.
        try_out: Called with each object that `make` returns. It raises an error where an argument is out of range.

    >>> def scaled(x, factor=1.0):
    ...     return factor * x
    >>> scales = Registry("scale", {"scaled": scaled}, inputs=["x"])
    >>> scales.make("scaled:factor=3")(2)
    6
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, Value],
        *,
        inputs: Sequence[str] = (),
        validate: Callable[[Any], object] = _check_callable,
        try_out: Callable[[Any], object] | None = None,
    ) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._inputs = tuple(inputs)
        self._validate = validate
        self._try_out = try_out

    def __getitem__(self, name: str) -> Value:
        return self._entries[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self._entries[name] = value

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def register(self, name: str) -> Callable[[Definition], Definition]:
        """A decorator that adds a definition under a name and returns it unchanged.

        Args:
            name: Text without a colon that is not taken yet.

        Raises:
            ValueError: The name is taken or contains a colon, or the definition is wrong.
            TypeError: The definition, or the name, is of another type.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a new {self.kind} must be text, not {name!r}")
        if name in self:
            raise ValueError(f"{self.kind} {name!r} is there already; choose another name")
        if ":" in name:
            raise ValueError(f"the name of a new {self.kind} must not contain ':', unlike {name!r}")

        def register(definition: Definition) -> Definition:
            try:
                self._validate(definition)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self.kind} {name!r}: {error}") from error
            self[name] = definition  # type: ignore[assignment]
            return definition

        return register

    def lookup(self, name: str) -> Value:
        """The definition under a name.

        Raises:
            ValueError: The name is unknown; the message gives the nearest known one.
        """
        return lookup(self.kind, name, self)

    def check(self, specification: str) -> tuple[Value, dict[str, Any]]:
        """The definition and the arguments that a specification such as `"focal:gamma=2"` names.

        Raises:
            ValueError: The name or an argument is unknown, or an argument is of another type.
        """
        try:
            name, arguments = parse_specification(specification)
        except ValueError as error:
            raise ValueError(f"{self.kind} {quoted(specification)}: {error}") from error
        definition: Any = self.lookup(name)
        inputs = () if isinstance(definition, type) else self._inputs
        check_arguments(f"{self.kind} {name!r}", definition, arguments, inputs)
        return definition, arguments

    def make(self, specification: str) -> Any:
        """An instance of the class that a specification names, or its function with the arguments bound.

        Raises:
            ValueError: As for `check`, or the definition refuses an argument.
        """
        definition: Any
        definition, arguments = self.check(specification)
        try:
            made = definition(**arguments) if isinstance(definition, type) else partial(definition, **arguments)
            if self._try_out is not None:
                self._try_out(made)
        except Exception as error:  # a user's definition may raise anything
            raise ValueError(f"{self.kind} {quoted(specification)}: {one_line(error)}") from error
        return made
