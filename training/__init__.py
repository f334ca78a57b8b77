"""Learning from shards."""
