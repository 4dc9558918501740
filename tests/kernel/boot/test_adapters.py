"""Adapters and slices' settings are found and checked at the start, and requested by annotation."""

from datetime import timedelta

import pytest
from pydantic import Field
from svcs import Container, Registry

from kernel import Adapter, Feature
from kernel.boot.adapters import discover_adapters, own_settings
from kernel.boot.discovery import BootError, discover
from kernel.boot.services import register_services
from kernel.config import OwnSettings, SettingsError, load_settings

ADAPTER = """
from kernel import Adapter
from kernel.config import OwnSettings
class ClockSettings(OwnSettings):
    clock_offset: int = 0
class Clock:
    def __init__(self, settings, deadline):
        self.offset, self.deadline, self.closed = settings.clock_offset, deadline, False
    async def aclose(self):
        self.closed = True
adapter = Adapter(client=Clock, settings=ClockSettings, make=Clock, close=Clock.aclose{more})
"""
INIT = """
from kernel import Feature
from kernel.config import OwnSettings
class GreetingSettings(OwnSettings):
    greeting: str
from . import {part}
feature = Feature({part_of}, settings=GreetingSettings)
"""
ROUTE = """
from fastapi import APIRouter
from kernel.web import Answer, Services
from . import handler
router = APIRouter()
@router.get("/greeting")
async def greet(services: Services) -> Answer[str]:
    return Answer(await services.call(handler.greet))
"""
HANDLER = """
from {adapters}.clock import Clock
from . import GreetingSettings
async def greet(settings: GreetingSettings, clock: Clock) -> str:
    return f"{{settings.greeting}} {{clock.offset}}"
"""
TASKS = """
from {adapters}.clock import Clock
from kernel.events import Event
from kernel.jobs import job
class Happened(Event):
    thing_id: int
@job(on=Happened)
async def do(thing_id: int, clock: Clock) -> None: ...
"""


@pytest.fixture
def adapters(tmp_path, monkeypatch):
    """Writes modules into a package of adapters; returns the package's name."""
    root = tmp_path / f"adapters_{tmp_path.name}".replace("-", "_")
    root.mkdir()
    (root / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules: str) -> str:
        for name, text in modules.items():
            (root / f"{name}.py").write_text(text)
        return root.name

    return write


def greeting(package, adapters: str) -> str:
    return package(
        "greet",
        {
            "__init__.py": INIT.format(part="route", part_of="router=route.router"),
            "route.py": ROUTE,
            "handler.py": HANDLER.format(adapters=adapters),
        },
    )


async def test_a_handler_asks_for_an_adapter_and_for_its_own_settings(
    package, adapters, settings, monkeypatch
):

    found = discover_adapters(adapters(clock=ADAPTER.format(more="")))
    features = discover(greeting(package, adapters()), found)
    monkeypatch.setenv("GREETING", "Hello")
    monkeypatch.setenv("CLOCK_OFFSET", "7")
    clock = found["clock"].client
    async with Registry() as registry:
        register_services(registry, settings, features, found)
        async with Container(registry) as container:
            made, again = await container.aget(clock), await container.aget(clock)
            own = features["greet"].settings
            assert own is not None
            assert (await container.aget(own)).model_dump() == {"greeting": "Hello"}
    assert made is again
    assert (made.offset, made.deadline, made.closed) == (7, 5.0, True)


def test_a_job_may_have_an_adapter_unless_that_says_otherwise(package, adapters):
    name = package(
        "do_it",
        {
            "__init__.py": INIT.format(part="tasks", part_of="jobs=(tasks.do,)"),
            "tasks.py": TASKS.format(adapters=adapters(clock=ADAPTER.format(more=""))),
        },
    )
    found = discover_adapters(adapters())
    assert list(discover(name, found)) == ["do_it"]
    kept = {"clock": Adapter(**{**vars(found["clock"]), "jobs": False})}
    with pytest.raises(BootError, match="the parameter clock of do is neither a field"):
        discover(name, kept)


def test_an_adapter_that_is_not_there_stops_the_start(package, adapters):
    name = greeting(package, adapters(clock=ADAPTER.format(more="")))
    with pytest.raises(BootError, match="the parameter clock of greet is no service"):
        discover(name, {})


def test_a_module_that_is_no_adapter_stops_the_start(adapters):
    with pytest.raises(BootError, match=r"clock\.py defines no `adapter = Adapter"):
        discover_adapters(adapters(clock=""))


def test_two_adapters_of_one_client_stop_the_start(adapters):
    name = adapters(clock=ADAPTER.format(more=""))
    copied = f"from {name}.clock import Clock, ClockSettings\nfrom kernel import Adapter\n"
    adapters(watch=copied + ADAPTER.splitlines()[-1].format(more=""))
    with pytest.raises(BootError, match=r"clock\.py and .*watch\.py both make Clock"):
        discover_adapters(name)


def test_without_the_folder_there_are_no_adapters():
    assert discover_adapters("no_such_package") == {}


def test_a_deadline_is_above_zero():
    with pytest.raises(ValueError, match="deadline"):
        Adapter(client=int, settings=OwnSettings, make=lambda _, __: 1, deadline=timedelta(0))


class ShopSettings(OwnSettings):
    shop_name: str
    shop_size: int = Field(default=1, ge=1)


def test_faults_of_own_settings_are_in_the_one_message(monkeypatch, tmp_path):
    for name in ("SUPABASE_URL", "SHOP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOP_SIZE", "many")
    with pytest.raises(SettingsError) as raised:
        load_settings(tmp_path / "none", own=own_settings({"shop": Feature(settings=ShopSettings)}))
    message = str(raised.value)
    for line in ("SUPABASE_URL is missing", "SHOP_NAME is missing", "SHOP_SIZE: "):
        assert line in message
    assert "many" not in message


def test_own_settings_come_from_the_same_file(monkeypatch, tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "SUPABASE_URL=https://a.example\nSUPABASE_KEY=a\nSUPABASE_SERVICE_KEY=b\n"
        "REDIS_HOST=127.0.0.1\nSHOP_NAME=Books\n"
    )
    for line in file.read_text().splitlines():
        monkeypatch.delenv(line.partition("=")[0], raising=False)
    assert load_settings(file, own=[ShopSettings]).own(ShopSettings).shop_name == "Books"
