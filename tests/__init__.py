"""The tests, a package so that its modules can share the registry and the battery."""
