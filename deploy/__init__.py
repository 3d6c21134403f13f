"""What runs the learning core for people: the `gaelp` command and the services behind it."""
