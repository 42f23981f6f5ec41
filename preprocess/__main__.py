"""`python -m preprocess` is the `preprocess` command."""

import sys

from preprocess.entry import preprocess

sys.exit(preprocess())
