"""Export all data of a user as a zip archive, made by a job."""

from kernel import Feature, Limit

from . import route, tasks
from .schema import ExportSettings

feature = Feature(
    router=route.router,
    limits=(Limit("60/minute"),),
    jobs=(tasks.make_archive, tasks.request_daily),
    settings=ExportSettings,
)
