"""`python -m hf_interpreto`: the same as `hf-interpreto`."""

import sys

from hf_interpreto.cli.main import main

sys.exit(main())
