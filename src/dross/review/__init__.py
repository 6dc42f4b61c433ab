"""The review page: where a person decides about the findings of an audit."""
