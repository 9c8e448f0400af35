"""Video and audio files: frames and samples on one clock (seconds). Usable alone: needs neither torch nor a configuration."""
