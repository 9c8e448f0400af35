"""Names that configuration, data and models share: stages, architectures, and the registries that a configuration chooses from.

Entries that come with the package are written as "module:attribute", so that a name can be checked without importing torch.
"""

# The stages of a network, in order: after the stem, the four residual stages (the head is pool5 in the papers).
STAGES = ("pool1", "res2", "res3", "res4", "res5")

# The pathways of an architecture, in the order in which their features are joined.
ARCHITECTURES = {
    "slow": ("slow",),
    "slowfast": ("slow", "fast"),
    "avslowfast": ("slow", "fast", "audio"),
    "audio": ("audio",),
}
