from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StrictBool, model_validator

from kernel.web import Body, Line, Text, invalid


def _without_defaults(schema: dict[str, Any]) -> None:
    schema["minProperties"] = 1
    for field in schema["properties"].values():
        del field["default"]


class SettingsChanges(Body):
    """The changes; at least one field.

    Omitted fields stay unchanged; the default only makes a field optional. `null` is not the same
    as omitted.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    site_name: Annotated[Line, Field(min_length=1, max_length=80, examples=["Ada's Notebook"])] = ""
    announcement: (
        Annotated[Text, Field(min_length=1, max_length=500, examples=["Closed on Sunday."])] | None
    ) = Field(default=None, description="null removes the announcement")
    signups_open: StrictBool = Field(default=True, description="false closes sign-ups")

    @property
    def sent(self) -> dict[str, Any]:
        """The fields to change, and their values."""
        return self.model_dump(mode="json", exclude_unset=True)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise invalid("Send at least one field.")
        return self
