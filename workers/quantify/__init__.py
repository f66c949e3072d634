"""The Quantify backend: how its files are read safely, gridded and described."""
