"""Floor 4: steering from outside. JSON-RPC 2.0 on a Unix socket: protocol, server, client. It knows no method by name."""
