"""`python -m preprocess` is the `preprocess` command."""

import sys

from preprocess.cli.entry import preprocess

sys.exit(preprocess())
