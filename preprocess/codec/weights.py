"""Finds a codec's weights and loads them, in any layout, into encodec's model.

    source                           layout on disk
    None                             the published checkpoint (.th); at 32 kHz the Hub's; for the
                                     demo codec, its safetensors file
    owner/name                       `model.safetensors` of a Hub repository (transformers' keys)
    a path                           a file of either kind, or a folder with `model.safetensors`

There is no fallback: if a source is not available, the error says how to get it.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.core.errors import PreprocessError
from preprocess.core.quiet import errors_only
from preprocess.core.resources import resource
from preprocess.tokens.specs import CodecSpec

if TYPE_CHECKING:
    from torch import Tensor

# Names and address: encodec/model.py of facebookresearch/encodec, `EncodecModel._get_pretrained`.
CHECKPOINT_URL = "https://dl.fbaipublicfiles.com/encodec/v0/"
CHECKPOINTS = {
    "encodec_24khz": "encodec_24khz-d7cc33bc.th",
    "encodec_48khz": "encodec_48khz-7e698e3e.th",
}
REPOSITORIES = {"encodec_32khz": "facebook/encodec_32khz"}
DEMO_WEIGHTS = {"encodec_24khz_demo": "demo_codec/encodec_24khz_demo.safetensors"}
HUB_FILE = "model.safetensors"

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.th$")
# Buffers that only training needs; a checkpoint may omit them.
_TRAINING_ONLY = ("cluster_size", "embed_avg", "inited")


class WeightsError(PreprocessError):
    """Weights cannot be found or downloaded, or do not fit; the message says what to do."""


def find_weights(spec: CodecSpec, source: str | None) -> Path:
    """Return the local file with the weights of `spec`; download it if necessary.

    Args:
        spec: The codec.
        source: None for the published weights, a path, or a Hub repository `owner/name`.

    Raises:
        WeightsError: The weights cannot be found or downloaded; the message names the file, its
            source and `--weights`.
    """
    if source is None:
        if spec.name in DEMO_WEIGHTS:
            return resource(DEMO_WEIGHTS[spec.name])
        if spec.name in REPOSITORIES:
            return _from_hub(REPOSITORIES[spec.name])
        return _published(CHECKPOINTS[spec.name])
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / HUB_FILE
    if path.is_file():
        return path
    if _names_repository(source):
        return _from_hub(source)
    raise WeightsError(f"weights {source}: no such file, folder or Hub repository")


def local_weights(spec: CodecSpec, source: str | None) -> Path | None:
    """Return the file that `find_weights` would return, or None if it is not downloaded yet.

    Raises:
        WeightsError: `source` names a file that does not exist.
    """
    repository = REPOSITORIES.get(spec.name) if source is None else source
    if source is None and spec.name in CHECKPOINTS:
        path = _published_path(CHECKPOINTS[spec.name])
        return path if path.is_file() else None
    if repository is None or not _names_repository(repository):
        return find_weights(spec, source)
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, HUB_FILE)
    return Path(cached) if isinstance(cached, str) else None


def load_state(path: Path, model: Any, spec: CodecSpec) -> None:
    """Load the weights in `path`, in any layout, into `model`, the `encodec.EncodecModel` of `spec`.

    Raises:
        WeightsError: The file is damaged or holds the weights of another model.
        OSError: The file cannot be opened.
    """
    state = _read(path)
    expected = model.state_dict()
    state = {_encodec_key(key, expected): value.float() for key, value in state.items()}
    needed = {key for key in expected if not key.endswith(_TRAINING_ONLY)}
    missing, unknown = sorted(needed - state.keys()), sorted(state.keys() - expected.keys())
    wrong = [k for k in sorted(needed & state.keys()) if state[k].shape != expected[k].shape]
    if missing or unknown or wrong:
        what = (
            f"it lacks {missing[0]}"
            if missing
            else f"{wrong[0]} is {list(state[wrong[0]].shape)}, not {list(expected[wrong[0]].shape)}"
            if wrong
            else f"it also has {unknown[0]}"
        )
        raise WeightsError(f"{path} does not hold the weights of {spec.name}: {what}")
    model.load_state_dict(state, strict=False)


def _names_repository(source: str) -> bool:
    """Whether `source` looks like a Hub repository and is not a local file or folder."""
    path = Path(source).expanduser()
    return not path.exists() and bool(_REPOSITORY.fullmatch(source)) and not path.suffix


def _published_path(name: str) -> Path:
    import torch

    return Path(torch.hub.get_dir(), "checkpoints", name)  # where encodec also keeps it


def _published(name: str) -> Path:
    import torch

    path = _published_path(name)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        digest = _NAMED_HASH.search(name)
        torch.hub.download_url_to_file(
            CHECKPOINT_URL + name, str(path), hash_prefix=digest[1] if digest else None
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: the hash is wrong
        raise WeightsError(_unavailable(name, CHECKPOINT_URL + name, error)) from None
    return path


def _from_hub(repository: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        with errors_only("huggingface_hub"):  # it warns about every retry
            return Path(hf_hub_download(repository, HUB_FILE))
    except Exception as error:  # from the Hub's client, its HTTP library or the OS
        url = f"https://huggingface.co/{repository}"
        raise WeightsError(_unavailable(HUB_FILE, url, error)) from None


def _unavailable(name: str, url: str, error: Exception) -> str:
    reason = (str(error) or type(error).__name__).strip().splitlines()[0]
    return (
        f"cannot get {name} from {url} ({reason[:120]}); "
        f"download it another way and give its path with --weights"
    )


def _read(path: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    named = _NAMED_HASH.search(path.name)
    if named:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not digest.startswith(named[1]):
            raise WeightsError(
                f"{path} is damaged: expected SHA-256 {named[1]} by its name, got {digest[:8]}"
            )
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tensor types that checkpoints do not use
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # from pickle, zipfile or any instruction of the pickle
        raise WeightsError(f"{path} is not a readable checkpoint: {_reason(error)}") from None
    if not isinstance(state, dict) or not all(map(_is_weight, state.items())):
        raise WeightsError(f"{path} is not a checkpoint: expected a mapping of names to tensors")
    return dict(state)


def _is_weight(entry: tuple[Any, Any]) -> bool:
    import torch

    name, value = entry
    dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
    return isinstance(name, str) and dense and not value.is_meta and not value.is_complex()


def _reason(error: Exception) -> str:
    """Return why loading failed, without PyTorch's advice to load the file unsafely."""
    if type(error).__name__ == "UnpicklingError":
        return "it is not a pickle of only tensors"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def _encodec_key(key: str, expected: dict[str, Tensor]) -> str:
    """Return encodec's name for the weight that transformers calls `key`.

    transformers names the same modules without encodec's wrappers: its `encoder.layers.0.conv` is
    encodec's `encoder.model.0.conv.conv` or `....convtr.convtr`, and its codebooks are
    `quantizer.layers.0.codebook`. PyTorch's newer weight norm renames `weight_g` and `weight_v`.
    """
    key = key.replace("parametrizations.weight.original0", "weight_g")
    key = key.replace("parametrizations.weight.original1", "weight_v")
    if key in expected:
        return key
    key = re.sub(r"^quantizer\.layers\.(\d+)\.codebook", r"quantizer.vq.layers.\1._codebook", key)
    key = re.sub(r"^(encoder|decoder)\.layers", r"\1.model", key)
    if key in expected:
        return key
    for inner, wrapped in (
        (".conv.", ".conv.conv."),
        (".conv.", ".convtr.convtr."),
        (".norm.", ".conv.norm."),
        (".norm.", ".convtr.norm."),
    ):
        if key.replace(inner, wrapped) in expected:
            return key.replace(inner, wrapped)
    return key
