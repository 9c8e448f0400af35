"""What an architecture is made of; models and datasets both go by it."""

PATHWAYS_OF = {
    "slow": ("slow",),
    "slowfast": ("slow", "fast"),
    "avslowfast": ("slow", "fast", "audio"),
    "audio": ("audio",),
}
