"""The key, pitches and chroma of a recording, by signal processing alone."""
