"""The landscapes world: a sky, a backdrop, a ground and a subject under one light; millions of pictures in all."""
