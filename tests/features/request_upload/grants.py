from kit.grants import Grants

COLUMNS = ("name", "content_type", "size", "sha256")
GRANTS = Grants(
    tables={
        ("files", "authenticated"): {"SELECT", *(f"INSERT({column})" for column in COLUMNS)},
    },
)
