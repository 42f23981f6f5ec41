"""The parameters of one clip, on disk."""

from preprocess.sidecar.features import Feature, SidecarError
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.sidecar_format import Sidecar, sidecar_paths
from preprocess.sidecar.writing import write_sidecar, write_sidecar_features_for_rel

__all__ = [
    "Feature",
    "Sidecar",
    "SidecarError",
    "read_sidecar",
    "sidecar_paths",
    "write_sidecar",
    "write_sidecar_features_for_rel",
]
