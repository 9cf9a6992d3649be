"""Floor 4: steering from outside. JSON-RPC 2.0 on a Unix socket. It knows no method by name.

    protocol, errors                  lines of bytes into calls, and answers into lines; what a caller can be told besides
    listening, server, peers          the socket's place; who is let in, and what they may do
    conversation, hangups             one connection; whether its peer is gone for good
    replies, sending                  what answers one line; what waits to be sent to one peer, and what a slow one loses
    registry, discover                methods by name, and their description
    publisher                         who wants to be told of what
    client                            the other end

What must not be here: what a method does (daemon).
"""
