"""The pages at the root of the server: /, /docs and its files."""

from kernel.boot.documentation.pages import DOCS, OPENAPI, ROOT, add_pages

__all__ = ["DOCS", "OPENAPI", "ROOT", "add_pages"]
