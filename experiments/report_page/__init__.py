"""An interactive report of finished runs: one HTML page that needs no network."""
