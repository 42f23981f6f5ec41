"""The audit's checks of one clip. They read all bytes of its files but decode no audio."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocess.audit.audio_checks import check_against_audio
from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.findings import Fault, Finding
from preprocess.audit.fingerprints import Fingerprint, fingerprint, first_codebook
from preprocess.audit.mixing import token_makers
from preprocess.audit.summaries import Checked, ClipSummary, split_of, with_sidecar
from preprocess.core.files import digest_bytes
from preprocess.sidecar.parameters import Parameter, SidecarError
from preprocess.sidecar.reading import existing_paths, read_pair
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.tokens.ecdc import MAGIC, read_ecdc, read_header
from preprocess.tokens.frames import time_model
from preprocess.tokens.types import EcdcError, EcdcHeader

Codes = NDArray[np.int16]


def check_clip(root: Path, rel: Path, config: AuditConfig) -> Checked:
    """Return the findings in one token file and its sidecar.

    Args:
        root: The token folder.
        rel: The token file, relative to it.
        config: Settings of the checks.
    """
    path = root / rel
    try:
        header = read_header(path)
    except EcdcError as error:
        return Checked([_finding("unreadable_tokens", path, error)])
    data = path.read_bytes()
    try:
        payload = _payload(data, path)
    except EcdcError as error:  # the header is valid, so the codes are not
        return Checked([_finding("token_values", path, error)])
    prints = None
    if config.split_name is None and split_of(rel) is not None:
        prints = _fingerprint(payload, header)
    summary = ClipSummary(
        rel,
        _content(payload, header),
        replace(header, extra={}),
        token_makers(header),
        engine=str(header.extra.get("eng", "")),
        prints=prints,
    )
    parts = existing_paths((config.cond_root or root) / rel, config.suffix)
    if not any(part.exists() for part in parts):
        if config.missing_sidecar != "error":
            return Checked([], summary)
        where = f" in {config.cond_root}" if config.cond_root else ""
        return Checked([Finding("missing_sidecar", str(path), f"has no sidecar{where}")], summary)
    try:
        sidecar = read_pair(*parts)
    except SidecarError as error:
        present = next(part for part in parts if part.exists())
        return Checked([_finding("unreadable_sidecar", present, error)], summary)
    found = [*check_sidecar(sidecar, header, path, digest_bytes(data), config)]
    if config.against_audio is not None and sidecar.n_frames == header.n_frames:
        heard = check_against_audio(config.against_audio, rel, header, sidecar)
        found += (Fault(check, text) for check, text in heard)
    findings = [Finding(fault.check, str(parts[0]), fault.text, fault.frame) for fault in found]
    return Checked(findings, with_sidecar(summary, sidecar))


def _payload(data: bytes, path: Path) -> bytes | Codes:
    """Return the packed codes of an `.ecdc` file, or the codes `[K, T]` of an old token file."""
    if data.startswith(MAGIC):
        (size,) = struct.unpack_from("!I", data, len(MAGIC) + 1)
        return data[len(MAGIC) + 5 + size :]
    return read_ecdc(path).codes


def _content(payload: bytes | Codes, header: EcdcHeader) -> str:
    """Return a hash of the tokens, ignoring provenance in the header."""
    label = f"{header.model} {header.audio_length} {header.n_codebooks} "
    codes = payload if isinstance(payload, bytes) else payload.tobytes()
    return digest_bytes(label.encode() + codes)


def _fingerprint(payload: bytes | Codes, header: EcdcHeader) -> Fingerprint:
    codes = first_codebook(payload, header) if isinstance(payload, bytes) else payload[0]
    return fingerprint(codes)


def _finding(check: str, path: Path, error: Exception) -> Finding:
    """Return an error as a finding, dropping the path that the finding names separately."""
    return Finding(check, str(path), str(error).removeprefix(str(path)).lstrip(": "))


def check_sidecar(
    sidecar: Sidecar, header: EcdcHeader, path: Path, tokens: str, config: AuditConfig
) -> Iterator[Fault]:
    """Yield everything wrong with a readable sidecar.

    Args:
        sidecar: The sidecar.
        header: The token file's header.
        path: The token file.
        tokens: Hash of the token file's bytes.
        config: Settings of the checks.
    """
    misaligned = list(_misaligned(sidecar, header, path))
    yield from (Fault("misaligned", text) for text in misaligned)
    if not misaligned:
        yield from (Fault("provenance", text) for text in _provenance(sidecar, header, tokens))
    yield from (Fault("fps", text) for text in _fps(sidecar, header, config))
    yield from (Fault("dtype", text) for text in _dtype(sidecar, config))
    for name in config.require:
        if name not in sidecar.parameters:
            yield Fault("missing_parameter", f"has no {name!r}")
    for name, parameter in sidecar.parameters.items():
        if not name.isidentifier():
            text = f"{name!r} is not a valid column name: use letters, digits and underscores"
            yield Fault("parameter_name", text)
        yield from _values(name, parameter)
        if config.verify_ranges:
            yield from _range(name, parameter, config.range_tol)


def _misaligned(sidecar: Sidecar, header: EcdcHeader, path: Path) -> Iterator[str]:
    if sidecar.n_frames != header.n_frames:
        yield f"has {sidecar.n_frames} frames, but {path} has {header.n_frames}"
    expected = time_model(header.audio_length, header.spec)
    if sidecar.time and sidecar.time != expected:
        key = next(k for k in expected if sidecar.time.get(k) != expected[k])
        yield f"was made for {key} {sidecar.time.get(key)}, but {path} has {expected[key]}"


def _provenance(sidecar: Sidecar, header: EcdcHeader, tokens: str) -> Iterator[str]:
    source = header.extra.get("src", "")
    for record in sidecar.records:
        names = ", ".join(record.names)
        if record.names and record.tokens not in ("", tokens):
            yield f"{names}: written for other tokens than the current ones; annotate again"
        elif record.names and source and record.audio not in ("", source):
            yield (f"{names}: measured from other audio than the tokens; encode and annotate again")


def _fps(sidecar: Sidecar, header: EcdcHeader, config: AuditConfig) -> Iterator[str]:
    expected = config.expect_fps or header.spec.fps
    if sidecar.fps != expected:
        stated = "no" if sidecar.fps is None else f"{sidecar.fps:g}"
        yield f"states {stated} frames per second, expected {expected:g}"


def _dtype(sidecar: Sidecar, config: AuditConfig) -> Iterator[str]:
    if config.expect_dtype is None:
        return
    for parameter in list(sidecar.parameters.values())[:1]:
        if parameter.values.dtype.name != config.expect_dtype:
            yield f"is {parameter.values.dtype.name}, expected {config.expect_dtype}"


def _values(name: str, parameter: Parameter) -> Iterator[Fault]:
    if np.isfinite(parameter.values).all():
        return
    nan = np.isnan(parameter.values)
    wrong = np.isinf(parameter.values) if parameter.nan else ~np.isfinite(parameter.values)
    if wrong.any():
        at = int(np.argmax(wrong))
        text = f"{name!r} is {parameter.values[at]} in frame {at}; {np.sum(wrong)} such frames"
        yield Fault("non_finite", text, at)
    elif nan.any() and nan.all():
        yield Fault("all_nan", f"{name!r} is NaN in every frame ({parameter.nan})")


def _range(name: str, parameter: Parameter, range_tol: float) -> Iterator[Fault]:
    if parameter.min is None or parameter.max is None:
        return
    # float16 rounds by 5e-4 of the value, so the tolerance scales with the values' size, too.
    size = max(parameter.max - parameter.min, abs(parameter.min), abs(parameter.max))
    low, high = parameter.min - range_tol * size, parameter.max + range_tol * size
    # Compare Python floats: numpy would round the bounds to float16. NaN fails this test.
    if (
        len(parameter.values)
        and low <= float(parameter.values.min()) <= float(parameter.values.max()) <= high
    ):
        return
    values = parameter.values.astype(np.float64)
    outside = np.isfinite(values) & ((values < low) | (values > high))
    if outside.any():
        at = int(np.argmax(outside))
        yield Fault(
            "out_of_range",
            f"{name!r} is {values[at]:g} in frame {at}, outside {parameter.min:g} to "
            f"{parameter.max:g}; {np.sum(outside)} such frames",
            at,
        )
