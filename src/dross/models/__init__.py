"""What methods share: the models they fit and the parts those are made of."""
