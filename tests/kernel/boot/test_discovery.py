"""A feature that is wired up wrongly stops the start with one sentence that names it."""

import pytest

from kernel.boot.discovery import BootError, discover

ROUTE = """
from fastapi import APIRouter
router = APIRouter()
@router.get("{path}")
async def call() -> None: ...
"""
INIT = """
from kernel import Feature
from . import route
feature = Feature(router=route.router)
"""
JOBS = """
from kernel import Feature
from . import tasks
feature = Feature(jobs=(tasks.do,))
"""
TASKS = """
from kernel.events import Event
from kernel.jobs import job
from kernel.config.settings import Settings
class Happened(Event):
    thing_id: int
@job(on=Happened)
async def do({parameters}) -> None: ...
"""
CACHED = """
from fastapi import APIRouter
from kernel.cache import Cached, everyone, minutes
KEPT = Cached("{key}", ttl=minutes(1), audience=everyone)
router = APIRouter()
@router.get("{path}")
@KEPT.serves
async def read({parameters}) -> int: ...
"""


CALLING = """
from fastapi import APIRouter
from kernel.web import Services
from . import handler
router = APIRouter()
@router.get("/x")
async def call(services: Services) -> int:
    return await {call}
"""
HANDLER = """
from kernel.cache import Announce
from kernel.identity import AccountLimit
from kernel.jobs import Job
from kernel.supabase import AsCaller
async def do({parameters}) -> int: ...
"""


def calling(parameters: str, call: str = "services.call(handler.do, x=1)") -> dict[str, str]:
    return {
        "__init__.py": INIT,
        "route.py": CALLING.format(call=call),
        "handler.py": HANDLER.format(parameters=parameters),
    }


def slice_at(path: str) -> dict[str, str]:
    return {"__init__.py": INIT, "route.py": ROUTE.format(path=path)}


def jobs_with(parameters: str) -> dict[str, str]:
    return {"__init__.py": JOBS, "tasks.py": TASKS.format(parameters=parameters)}


def cached_under(key: str, path: str, parameters: str = "one_id: int") -> dict[str, str]:
    route = CACHED.format(key=key, path=path, parameters=parameters)
    public = INIT.replace("router=route.router", 'router=route.router, caller="ignored"')
    return {"__init__.py": public, "route.py": route}


def test_each_folder_is_a_feature(package):
    package("read_one", slice_at("/ones/{id}"))
    name = package("read_all", slice_at("/ones"))
    assert list(discover(name)) == ["read_all", "read_one"]


def test_a_feature_may_have_jobs_alone(package):
    name = package("do_it", jobs_with("thing_id: int, settings: Settings"))
    (job,) = discover(name)["do_it"].jobs
    assert job.name == "do_it.do"


LIVE = """
from kernel import Feature
from kernel.cache import everyone
from kernel.events import Event
from kernel import Topic
from PACKAGE.shared.words import Known
from . import route
class Unknown(Event):
    thing_id: int
feature = Feature(router=route.router, topics=(Topic("NAME", on=KIND, audience=everyone),))
"""


def live_on(package, kind, *names):
    """Return a package of slices with a live topic each, on this event."""
    words = "from kernel.events import Event\nclass Known(Event):\n    thing_id: int\n"
    name = package("shared", {"__init__.py": "", "words.py": words})
    for place, topic in enumerate(names):
        text = LIVE.replace("PACKAGE", name).replace("NAME", topic).replace("KIND", kind)
        package(f"read_{place}", slice_at(f"/{place}") | {"__init__.py": text})
    return name


def test_a_live_topic_on_an_unknown_event_stops_the_start(package):
    with pytest.raises(BootError, match="the live topic things follows Unknown, which is no event"):
        discover(live_on(package, "Unknown", "things"))


def test_two_live_topics_of_one_name_stop_the_start(package):
    with pytest.raises(BootError, match=r"read_0 and .*/read_1 both declare the live topic"):
        discover(live_on(package, "Known", "thing:{thing_id}", "thing:{thing_id}"))


def test_shared_and_leftover_folders_are_no_features(package):
    package("shared", {"__init__.py": "", "words.py": ""})
    name = package("read_one", slice_at("/ones"))
    package("removed", {"__init__.pyc": ""})
    assert list(discover(name)) == ["read_one"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"route.py": ROUTE.format(path="/x")}, "has no __init__.py"),
        ({"__init__.py": ""}, "defines no `feature"),
        (slice_at("/x") | {"utils.py": ""}, "utils.py has no role"),
        (slice_at("/x") | {"handler.py": ""}, "handler.py is not wired up"),
        (slice_at("/x") | {"tasks.py": ""}, "tasks.py is not wired up"),
        (
            {
                "__init__.py": INIT.replace("route.router", "route.APIRouter()"),
                "route.py": ROUTE.format(path="/x"),
            },
            "does not pass on the router",
        ),
        (
            {
                "__init__.py": INIT,
                "route.py": "from fastapi import APIRouter\nrouter = APIRouter()",
            },
            "its router is empty",
        ),
        (
            {"__init__.py": "from kernel import Feature\nfeature = Feature()"},
            "has neither a router nor jobs",
        ),
        (
            slice_at("/x")
            | {
                "__init__.py": INIT.replace("route\n", "route, tasks\n", 1),
                "tasks.py": TASKS.format(parameters="thing_id: int"),
            },
            r"does not pass on the job do of its tasks.py: Feature\(jobs=\(tasks.do,\)\)",
        ),
        (
            jobs_with("thing_id: int, mailer: str"),
            "tasks.py: the parameter mailer of do is neither a field of Happened nor a service",
        ),
        (
            calling("db: Job, *, x: int"),
            "route.py: the parameter db of do is no service that requests have",
        ),
        (calling("db: AsCaller, x: int"), "the parameter x of do is no service"),
        (calling("db, *, x: int"), "the parameter db of do has no annotation"),
        (calling("db: AsCaller, *, x: int, y: int"), r"line 8 does not pass y to do\."),
        (calling("db: AsCaller"), "line 8 passes x to do, which has no such own argument"),
        (calling("seen: AccountLimit, *, x: int"), "of do is an AccountLimit, and the feature"),
        (calling("", call="services.call(handler.undone)"), "line 8 must name an async handler"),
        (
            calling("*, x: int", call="services.call(handler.do, **{'x': 1})"),
            "line 8 must name an async handler, and its arguments one by one",
        ),
        (calling("", call="services.aget(handler.Job)"), "handler.Job is no service"),
        (
            {
                "__init__.py": JOBS,
                "tasks.py": TASKS.format(parameters="").replace(
                    "job(on=Happened)",
                    'job(schedule=__import__("kernel.jobs").jobs.cron("0 25 * * *"))',
                ),
            },
            r"broken/tasks.py: cron\('0 25 \* \* \*'\) is no cron expression: Bad hour\.$",
        ),
        (jobs_with("thing: int"), "the parameter thing of do is neither"),
        (jobs_with("thing_id: int, db"), "the parameter db of do is neither"),
    ],
)
def test_a_folder_that_is_not_wired_up_stops_the_start(package, files, sentence):
    name = package("broken", files)
    with pytest.raises(BootError, match=sentence) as raised:
        discover(name)
    assert f"{name}/broken" in str(raised.value)


def test_a_handler_gets_services_by_their_annotations_and_the_arguments_that_are_passed(package):
    name = package("do_it", calling("db: AsCaller, announce: Announce, *, x: int, y: int = 2"))
    assert list(discover(name)) == ["do_it"]


def test_two_features_with_the_same_call_are_both_named(package):
    package("read_one", slice_at("/ones/{one_id}"))
    name = package("copy_of_read_one", slice_at("/ones/{id}"))
    with pytest.raises(BootError) as raised:
        discover(name)
    assert "copy_of_read_one" in str(raised.value)
    assert f"{name}/read_one" in str(raised.value)


def test_two_features_with_the_same_cache_key_are_both_named(package):
    package("read_one", cached_under("one:{one_id}", "/ones/{one_id}"))
    name = package("read_other", cached_under("one:{one_id}", "/others/{one_id}"))
    with pytest.raises(BootError, match=r"both cache under one:\{one_id\}") as raised:
        discover(name)
    assert f"{name}/read_other" in str(raised.value)
    assert f"{name}/read_one" in str(raised.value)


def test_a_feature_may_cache_under_keys_of_its_own(package):
    package("read_one", cached_under("one:{one_id}", "/ones/{one_id}"))
    name = package("read_all", cached_under("ones", "/ones", parameters=""))
    assert list(discover(name)) == ["read_all", "read_one"]


LIMITED = """
from kernel import Feature, Limit
from . import route
feature = Feature(router=route.router, limits=(Limit("9/hour", per="account"),))
"""


def test_a_job_that_was_copied_without_renaming_is_found(package):
    package("do_it", jobs_with("thing_id: int"))
    own = TASKS.format(parameters="thing_id: int").partition("@job")
    copied = (
        f"from {package('do_it', {})}.do_it.tasks import Happened\nfrom kernel.jobs import job\n"
    )
    name = package("do_it_too", {"__init__.py": JOBS, "tasks.py": copied + own[1] + own[2]})
    sentence = (
        rf"{name}/do_it/tasks.py:8 and {name}/do_it_too/tasks.py:4 both do do after Happened, "
        "so it would happen twice each time: change what the copy does, and the name of its"
    )
    with pytest.raises(BootError, match=sentence):
        discover(name)


def test_two_features_with_the_same_name_of_a_limit_are_both_named(package):
    package("login", slice_at("/ones") | {"__init__.py": LIMITED})
    name = package("login_account", slice_at("/twos"))
    with pytest.raises(BootError, match="both have a limit login_account") as raised:
        discover(name)
    assert f"{name}/login_account" in str(raised.value)
    assert f"{name}/login " in str(raised.value)


@pytest.mark.parametrize("folder", ["default", "fallback"])
def test_a_folder_that_has_the_name_of_a_setting_stops_the_start(package, folder):
    name = package(folder, slice_at("/ones"))
    with pytest.raises(BootError, match=f"RATE_LIMIT_{folder.upper()}"):
        discover(name)


def test_a_role_needs_a_required_caller():
    from fastapi import APIRouter

    from kernel import Feature

    with pytest.raises(ValueError, match="role"):
        Feature(router=APIRouter(), caller="optional", role="admin")
