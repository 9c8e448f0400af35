"""How fast things are, measured, and straightforward baselines to measure against. Not part of the wheel."""
