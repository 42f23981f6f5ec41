"""Statistics of parameters over a corpus, and scaling with them."""

from preprocess.stats.corpus_stats import CorpusStats, read_stats, write_stats
from preprocess.stats.scaling import denormalise, normalise

__all__ = ["CorpusStats", "denormalise", "normalise", "read_stats", "write_stats"]
