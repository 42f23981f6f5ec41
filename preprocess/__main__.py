"""`python -m preprocess` is the `preprocess` command."""

import sys

from preprocess.cli import main

sys.exit(main())
