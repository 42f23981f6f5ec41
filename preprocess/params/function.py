"""Parameters from a user's own function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from preprocess.core.errors import PreprocessError
from preprocess.params.base import Producer
from preprocess.params.clip import Clip
from preprocess.params.user_code import UserCode, call_function, import_function, split_name
from preprocess.sidecar.parameters import ParameterValue


@dataclass(frozen=True)
class Function(Producer):
    """A user's own function, `module:function` or `path.py:function`."""

    flag = "function"
    function: str

    def __post_init__(self) -> None:
        """Check the name's form."""
        split_name(self.function)

    def _load(self) -> None:
        """Import the function."""
        self._code  # noqa: B018, kept for all clips

    @cached_property
    def _code(self) -> UserCode:
        return import_function(self.function)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the parameters that the function returns for the clip."""
        try:
            parameters = call_function(self._code.function, self.function, clip)
        except PreprocessError as error:
            raise PreprocessError(f"{clip.path}: {error}") from error
        if not isinstance(parameters, Mapping):
            kind = type(parameters).__name__
            raise PreprocessError(f"{clip.path}: {self.function} returned {kind}, not a dict")
        return parameters

    def settings(self) -> dict[str, Any]:
        """Return the function's name and the hash of its file."""
        return {**super().settings(), "code": self._code.digest}
