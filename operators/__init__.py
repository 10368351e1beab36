"""How a child is made. The only package that reads and writes syntax trees."""
