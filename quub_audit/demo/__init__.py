"""The embedded world: everything that an audit looks at, on loopback."""
