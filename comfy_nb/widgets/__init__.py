"""The widgets: thin Python halves, and the bridge over which they talk to their pages."""
