"""From seconds to tensors: spans and views, transforms, log-mel spectrograms, negatives."""
