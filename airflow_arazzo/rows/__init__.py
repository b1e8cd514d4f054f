"""The rows of a batch: where they come from, how they are checked and frozen, and where each one stands."""
