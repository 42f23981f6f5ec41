"""The audit's checks of one clip, for a build that reads its sidecar anyway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.clip_checks import check_sidecar
from preprocess.core.files import digest_file
from preprocess.dataset.clips import DatasetError
from preprocess.sidecar.sidecar_format import Sidecar, sidecar_paths
from preprocess.tokens.types import EcdcHeader


@dataclass(frozen=True)
class RowCheck:
    """Raises what an audit would find in the parameters that a row takes.

    Attributes:
        config: What the audit holds them to.
    """

    config: AuditConfig

    def __call__(self, sidecar: Sidecar, header: EcdcHeader, target: Path, path: Path) -> None:
        """Check one clip.

        Args:
            sidecar: With the parameters that are taken.
            header: Of the tokens.
            target: What stands for the token file's path among the sidecars.
            path: The token file.

        Raises:
            DatasetError: The audit fails it; the message names the check.
        """
        for check, text in check_sidecar(sidecar, header, path, digest_file(path), self.config):
            # A parameter that is missing has been looked for in all clips before.
            if self.config.fails(check) and check != "missing_parameter":
                array = sidecar_paths(target)[0]
                raise DatasetError(f"{array}: {check}: {text}; preprocess audit lists all such")
