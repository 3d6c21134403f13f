"""What a policy sees and says: the observation schema and its builder, the action decoder."""
