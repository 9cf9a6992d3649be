"""One file for each revision. A released one is never changed: databases out there have gone through it."""
