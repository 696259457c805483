"""What a person sees: summaries, plans and progress as plain text, or as JSON."""
