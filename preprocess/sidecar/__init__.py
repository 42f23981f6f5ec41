"""The parameters of one clip on disk."""

from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.parameters import Parameter, SidecarError
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.sidecar_format import Sidecar, sidecar_paths
from preprocess.sidecar.writing import write_sidecar, write_sidecar_features_for_rel

__all__ = [
    "Parameter",
    "ParameterInfo",
    "Sidecar",
    "SidecarError",
    "read_sidecar",
    "sidecar_paths",
    "write_sidecar",
    "write_sidecar_features_for_rel",
]
