"""`python -m quantify_sync` is `quantify-sync`."""

from __future__ import annotations

from quantify_sync.cli import main

if __name__ == "__main__":
    main()
