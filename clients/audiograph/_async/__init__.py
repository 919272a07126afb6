"""Implementation of `AsyncAudiograph`."""
