"""Everything that waits: sockets, time, storage, HTTP. It knows types and errors, never a field on the wire."""
