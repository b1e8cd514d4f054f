"""Side-by-side measurements; see the modules."""
