"""Corpora larger than memory: a recipe of steps goes over their shards and leaves a smaller, documented corpus."""
