"""The figures that can stand in front of a landscape."""
