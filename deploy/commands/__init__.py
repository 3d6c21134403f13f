"""Commands of `gaelp` that are larger than a function; each module imports what it runs only when it runs."""
