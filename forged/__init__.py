"""forged brings AI-generated media home from the machines that make it, and frees the rented disk safely."""

__version__ = "0.1.0"
