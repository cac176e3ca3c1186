"""Names that are needed before anything heavy is imported."""

from __future__ import annotations

__all__ = ["WORLDS"]

WORLDS = ("landscapes", "textures", "memorise")
"""What the embedded server can sample; `worlds.WORLDS` builds them."""
