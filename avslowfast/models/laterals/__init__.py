"""Lateral connections between pathways, one file each.

Sources: arXiv 2001.08740; F->S: arXiv 1812.03982.
A new audio lateral is one file with a subclass of `base.AudioLateral`, and its line in LATERALS of `config/names.py`.
"""
