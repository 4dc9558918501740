"""A mail inbox for development: accepts all mails by SMTP, delivers none, shows all."""
