"""Many videos: what to process, the workers that do it, and what comes of it."""
