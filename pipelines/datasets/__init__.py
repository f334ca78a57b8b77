"""Folder layouts of known datasets."""
