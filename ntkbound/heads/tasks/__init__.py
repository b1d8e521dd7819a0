"""Where X, q and y come from."""
