"""The commands, a module for each kind; every module has `register(app)`."""
