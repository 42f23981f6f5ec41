"""Parameters from a user's own function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from preprocess.core.errors import PreprocessError
from preprocess.params.base import Producer
from preprocess.params.clip import Clip
from preprocess.params.user_code import call, code_digest, import_function
from preprocess.sidecar.parameters import ParameterValue


@dataclass(frozen=True)
class Function(Producer):
    """A user's own function, `module:function` or `path.py:function`."""

    flag = "function"
    function: str

    def __post_init__(self) -> None:
        """Import the function before any clip is read."""
        import_function(self.function)

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return what the function makes of the clip."""
        try:
            parameters = call(self.function, clip)
        except PreprocessError as error:
            raise PreprocessError(f"{clip.path}: {error}") from error
        if not isinstance(parameters, Mapping):
            kind = type(parameters).__name__
            raise PreprocessError(f"{clip.path}: {self.function} returned {kind}, not a dict")
        return parameters

    def settings(self) -> dict[str, Any]:
        """Return the name of the function and the hash of the file that was named."""
        return {**super().settings(), "code": code_digest(self.function)}
