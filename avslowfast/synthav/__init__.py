"""SynthAV: the data set that ships with the code, rendered as real files."""
