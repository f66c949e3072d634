"""The contract between producer and workers: what both sides import.

Light at import: no xarray, no h5py; SQLAlchemy only in `shared.catalogue`, obstore
only in `shared.store`.
"""
