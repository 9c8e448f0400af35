"""Small helpers without knowledge of models, data or configuration."""
