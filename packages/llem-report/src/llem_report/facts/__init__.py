"""What a report says, apart from how it is shown: HTML, Markdown and JSON are made of it."""
