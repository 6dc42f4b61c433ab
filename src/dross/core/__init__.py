"""The nouns: dataset, roles, signals, method, results, errors. NumPy and Arrow only."""
