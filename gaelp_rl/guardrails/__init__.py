"""Pure checks of a plan before it may leave."""
