"""The lab machine's agent: sees changes on disk, announces them to the workers."""
