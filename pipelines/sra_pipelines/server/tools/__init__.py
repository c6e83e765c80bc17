"""The documents of an index as tools of the Model Context Protocol (MCP)."""
