"""The parts of `AsyncAudiograph`."""
