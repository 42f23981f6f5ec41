"""Arrays as JSON: equal ones are stored once, as all curves of a clip have the same times."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Packing:
    """Arrays that a page's script reads (`script/arrays.js`).

    Attributes:
        arrays: Each array once: type `t`, shape `s`, and `d`, its little-endian bytes in base64.
    """

    def __init__(self) -> None:
        self.arrays: list[dict[str, Any]] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def pack(self, value: Any) -> Any:
        """Return `value` with each array replaced by `{"a": its number}`; the rest stays."""
        if isinstance(value, np.ndarray):
            return {"a": self._number(value)}
        if isinstance(value, dict):
            return {key: self.pack(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.pack(each) for each in value]
        return value

    def _number(self, array: NDArray[Any]) -> int:
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        data = little.tobytes()
        number = self._known.setdefault((array.dtype.name, array.shape, data), len(self.arrays))
        if number == len(self.arrays):
            text = b64encode(data).decode("ascii")
            self.arrays.append({"t": array.dtype.name, "s": list(array.shape), "d": text})
        return number
