"""The studies of this theorem, one module each; their presets stand in ``presets``."""
