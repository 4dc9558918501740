"""The privileges on the tables of the kit's slices: see kit/schema.sql."""

from kit.grants import Grants

GRANTS = Grants(
    tables={
        ("things", "anon"): {"SELECT"},
        ("things", "authenticated"): {
            "SELECT",
            "INSERT(content)",
            "INSERT(published)",
            "INSERT(title)",
            "UPDATE(content)",
            "UPDATE(published)",
            "UPDATE(title)",
        },
        ("things", "service_role"): {"SELECT", "INSERT", "UPDATE", "DELETE"},
        ("effects", "service_role"): {"SELECT", "INSERT"},
    },
)
