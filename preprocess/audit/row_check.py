"""Runs the audit's checks of one clip while build makes its row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.clip_checks import check_sidecar
from preprocess.dataset.clips import DatasetError
from preprocess.sidecar.sidecar_format import Sidecar, sidecar_paths
from preprocess.tokens.types import StoredEcdc


@dataclass(frozen=True)
class RowCheck:
    """Raises an error for what an audit would find in the parameters of a row.

    Attributes:
        config: Settings of the checks.
    """

    config: AuditConfig

    def __call__(self, sidecar: Sidecar, tokens: StoredEcdc, target: Path, path: Path) -> None:
        """Check one clip.

        Args:
            sidecar: The sidecar, with the parameters of the row.
            tokens: The tokens.
            target: The token file's path under the sidecar folder.
            path: The token file.

        Raises:
            DatasetError: A check fails; the message names it.
        """
        header = tokens.ecdc.header
        for fault in check_sidecar(sidecar, header, path, tokens.digest, self.config):
            # The survey of all clips has already checked for missing parameters.
            if self.config.fails(fault.check) and fault.check != "missing_parameter":
                array = sidecar_paths(target)[0]
                raise DatasetError(
                    f"{array}: {fault.check}: {fault.text}; preprocess audit lists all findings"
                )
