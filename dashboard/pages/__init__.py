"""What people see. Each module is a page; `frame` is what they have in common."""
