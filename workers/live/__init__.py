"""Following running measurements: replicas that grow while Quantify writes."""
