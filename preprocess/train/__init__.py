"""From rows to batches, and from batches to what a model reads."""
