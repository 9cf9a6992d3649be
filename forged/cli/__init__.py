"""The roof: the commands `forged` and `forgectl` and how they draw. Nothing is decided here."""
