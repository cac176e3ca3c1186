"""Which front end this kernel may be talking to, as far as its environment tells."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["may_be_vscode"]

# Jupyter's server gives each kernel the path of its notebook, in which VS Code leaves a mark of its own when it uses
# such a server. The kernels that VS Code starts itself have no such path.
SESSION = "JPY_SESSION_NAME"
MARK = "-jvsc-"


def may_be_vscode(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the front end is VS Code, or one that does not say what it is."""
    session = (os.environ if environment is None else environment).get(SESSION, "")
    return not session or MARK in session
