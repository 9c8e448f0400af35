"""Batch systems: what is asked of Slurm, how a job is submitted, and what a job has been given."""
