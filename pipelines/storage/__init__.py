"""Where tables live: Delta Lake, by partition, with exact digests."""
