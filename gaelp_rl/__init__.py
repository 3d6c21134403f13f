"""The learning core of gaelp-rl: it knows no platform SDK and no server."""
