"""What lies at the root of the server for people: /, /docs and its files."""

from kernel.boot.documentation.pages import DOCS, OPENAPI, ROOT, add_pages

__all__ = ["DOCS", "OPENAPI", "ROOT", "add_pages"]
