"""Systems for angles and places on spheres."""
