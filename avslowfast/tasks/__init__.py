"""Objectives: a task turns a batch into losses and scores."""
