"""Other semantic layers, each in an environment of its own, for what they can express."""
