"""Language models behind any OpenAI-compatible server: asked once, kept on disk, never beyond the budget."""
