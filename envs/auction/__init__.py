"""The auction engine that reads AuctionGym's configs."""
