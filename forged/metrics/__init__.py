"""Floor 4: being watched. Every metric name in one place, and the HTTP page that shows them."""
