"""A page of a whole corpus: all clips measured, a sample of them decoded and given pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.findings import Finding
from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.jobs import Outcome, cpu_count, progress
from preprocess.core.report import Report
from preprocess.page.clip_data import ClipData, Decoder
from preprocess.page.clip_sources import ClipSource
from preprocess.page.corpus_clips import ClipPages, MadeClip
from preprocess.page.corpus_data import Corpus, measure_corpus
from preprocess.page.corpus_files import Extras
from preprocess.page.corpus_findings import PlacedFinding, place_findings
from preprocess.page.corpus_html import Words
from preprocess.page.corpus_page import write_corpus_page
from preprocess.page.folder_clips import FolderClips
from preprocess.page.replacing import replace_page
from preprocess.steps.audit import audit
