"""A mail inbox for development: takes every mail by SMTP, delivers none, shows all."""
