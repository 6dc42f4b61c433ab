"""What can be measured about a dataset: one signal a file."""
