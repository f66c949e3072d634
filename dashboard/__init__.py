"""One page for all set-ups: see what runs, find what ran.

It reads the catalogue, the store, the replicas and Redis through the same Python
client as notebooks do. `app` puts it together; `api` is what programs ask, `pages`
what people see.
"""
