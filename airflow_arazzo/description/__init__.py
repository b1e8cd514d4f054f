"""What the documents say: YAML and JSON files read into typed, located descriptions."""
