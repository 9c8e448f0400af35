"""How each data set is scored: what its literature measures, and the files that its evaluation asks for."""
