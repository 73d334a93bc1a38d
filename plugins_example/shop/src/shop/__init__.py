"""A small shop whose catalogue is a table rebuilt at every deploy."""
