"""Pages that show clips: sound, tokens and parameters on one time axis; `show` for notebooks."""

from preprocess.page.notebook import show

__all__ = ["show"]
