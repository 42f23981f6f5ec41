"""`python -m preprocess` is the `preprocess` command."""

import sys

from preprocess.start import preprocess

sys.exit(preprocess())
