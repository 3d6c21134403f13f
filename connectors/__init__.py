"""Live markets: ad platforms behind one protocol. Each SDK is an optional extra, loaded by its connector only."""
