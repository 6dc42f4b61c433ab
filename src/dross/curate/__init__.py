"""Steps of a recipe: they go over corpora larger than memory."""
