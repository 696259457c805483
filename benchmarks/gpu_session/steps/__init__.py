"""The steps, a module each, with a function ``run`` that notes what it finds."""
