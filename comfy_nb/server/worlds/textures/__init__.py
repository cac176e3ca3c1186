"""Textures that grow from small patches: pictures that nobody drew, out of a few that somebody did."""
