"""The pool: makes store and catalogue agree with what lies on the lab machines."""
