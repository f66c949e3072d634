"""Starting the producer by itself: at boot or logon, and again when it died.

One module for each system's texts (pure), and `machine`, which writes and runs them.
"""
