"""Systems that answer what is given."""
