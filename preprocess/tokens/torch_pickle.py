"""Reads the pickles in `torch.save` files: plain values, and tensors without their content.

No name in a pickle is looked up and nothing is called, so a pickle cannot run code. PyTorch's
unpickler with `weights_only=True` cannot either, but there a file of a few bytes can allocate
gigabytes, by a `bytearray` of any length or a large memo index.

Instructions: Python's `pickletools`. What torch pickles: `torch/_utils.py` of pytorch/pytorch.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

# Name in `torch` -> numpy dtype; V2 for bfloat16, which numpy does not have.
_STORAGES = {
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "BoolStorage": "b1",
    "BFloat16Storage": "V2",
}
_REBUILD, _DICT = "torch._utils._rebuild_tensor_v2", "collections.OrderedDict"
_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class TorchFileError(ValueError):
    """The file is damaged, or `torch.save` did not write it from plain values and tensors.

    The message says what is wrong and does not name the file.
    """


@dataclass(frozen=True)
class Name:
    """The name of a function or type in a pickle. It is compared, never looked up."""

    text: str


@dataclass(frozen=True)
class Storage:
    """A storage: where the content of tensors is.

    Attributes:
        key: Its name in the file.
        kind: numpy dtype, without byte order.
        length: Number of elements that the pickle claims.
    """

    key: str
    kind: str
    length: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor whose content is still in its file.

    Attributes:
        storage: The storage with its content.
        offset: The element of the storage at which it starts.
        shape: Its shape.
        strides: Elements between one index and the next, for each dimension.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def load_pickle(stream: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle to its end and return its value and the storages that it names.

    Raises:
        TorchFileError: The pickle is damaged, or has an instruction or name that token files do
            not use.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except TorchFileError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, UnicodeError) as error:
        text = " ".join(str(error).split())[:80]
        raise TorchFileError(f"has a damaged pickle: {text or type(error).__name__}") from None
    return value, machine.storages


class _Machine:
    """The stack, marks and memo of an unpickler."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.storages: dict[str, Storage] = {}
        self._below: list[list[Any]] = []
        self._memory: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "GLOBAL":
            stack.append(_name(argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memory[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memory[argument])
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_made(stack.pop(), arguments))
        elif name not in ("PROTO", "STOP"):
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Run an instruction that consumes several values of the stack."""
        if name == "MARK":
            self._below.append(self.stack)
            self.stack = []
            return
        if name in _TUPLES:
            count = _TUPLES[name]
            items, self.stack = self.stack[-count:], self.stack[:-count]
            if len(items) < count:
                raise ValueError("a tuple with too few values")
            self.stack.append(tuple(items))
        elif name in ("APPEND", "SETITEM"):
            count = 1 if name == "APPEND" else 2
            items = [self.stack.pop() for _ in range(count)][::-1]
            _fill(self.stack[-1], items, name == "SETITEM")
        elif name in ("TUPLE", "APPENDS", "SETITEMS"):
            items, self.stack = self.stack, self._below.pop()
            if name == "TUPLE":
                self.stack.append(tuple(items))
            else:
                _fill(self.stack[-1], items, name == "SETITEMS")
        else:
            raise TorchFileError(f"has a pickle with {name}, which token files do not use")

    def _storage(self, reference: Any) -> Storage:
        """Return the storage that `("storage", type, key, device, length, ...)` describes."""
        label, kind, key, _, length = reference[:5]
        if label != "storage" or not isinstance(key, str) or type(length) is not int:
            raise ValueError("an invalid storage reference")
        found = Storage(key, _STORAGES[kind.text.removeprefix("torch.")], length)
        if self.storages.setdefault(key, found) != found or length < 0:
            raise ValueError("contradictory storage references")
        return found


def _name(argument: str) -> Name:
    text = argument.replace(" ", ".", 1)
    known = text in (_REBUILD, _DICT) or text.removeprefix("torch.") in _STORAGES
    if not known:
        raise TorchFileError(f"holds {text[:100]!r}, which token files do not use; not loaded")
    return Name(text)


def _made(function: Name, arguments: Any) -> Any:
    """Return the result of a call of `function`, one of the two that are known."""
    if function.text == _DICT and not arguments:
        return {}
    if function.text != _REBUILD:
        raise ValueError("a call of something that is not a function")
    storage, offset, shape, strides = arguments[:4]
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor with an invalid shape")
    if len(shape) != len(strides):
        raise ValueError("a tensor whose strides do not match its shape")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


def _fill(target: Any, items: list[Any], pairs: bool) -> None:
    if pairs and isinstance(target, dict) and len(items) % 2 == 0:
        target.update(zip(items[::2], items[1::2], strict=True))
    elif not pairs and isinstance(target, list):
        target.extend(items)
    else:
        raise ValueError("values added to something that is not a container")
