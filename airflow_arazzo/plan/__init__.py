"""What will be executed: a self-contained JSON plan of one workflow."""
