"""Everything that talks to a server: one background thread, HTTP, websockets."""
