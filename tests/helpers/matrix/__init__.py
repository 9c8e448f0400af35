"""The matrix test: rendered files of every container, codec, structure and timing, and what is true of each."""
