"""The studies of this theorem, one a module; what each runs and claims are presets."""
