"""`./app bench --growth`: what each statement reads in a database with millions of rows."""
