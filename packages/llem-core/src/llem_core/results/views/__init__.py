"""What a person is shown of a result: the same facts for a terminal and for a notebook."""
