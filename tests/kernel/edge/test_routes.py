from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st

from kernel import Feature
from kernel.edge.routes import RouteTable, routes_of


def feature(*paths: str) -> Feature:
    router = APIRouter()
    for path in paths:
        router.add_api_route(path, lambda: None, methods=["GET"])
    return Feature(router=router)


FEATURES = {
    "get_user": feature("/users/{user_id}"),
    "get_me": feature("/users/me"),
    "get_post": feature("/posts/{post_id}"),
    "comments": feature("/posts/{post_id}/comments", "/posts/{post_id}/comments/{id}"),
    "dotted": feature("/a.b/{c}"),
}
TABLE = RouteTable(routes_of(FEATURES))


def found(path: str, method: str = "GET") -> str | None:
    route = TABLE.find(method, path)
    return route.feature_name if route else None


def test_a_constant_path_goes_before_a_parameter():
    assert found("/api/v1/users/me") == "get_me"
    assert found("/api/v1/users/7") == "get_user"
    order = [route.feature_name for route in routes_of(FEATURES)]
    assert order.index("get_me") < order.index("get_user")


def test_a_constant_path_hides_a_parameter_for_every_method():
    router = APIRouter()
    router.add_api_route("/users/{user_id}", lambda: None, methods=["PUT"])
    table = RouteTable(routes_of({"get_me": feature("/users/me"), "put": Feature(router=router)}))
    assert table.find("PUT", "/api/v1/users/me") is None
    assert table.methods("/api/v1/users/me") == ["GET", "HEAD"]
    assert table.methods("/api/v1/users/7") == ["PUT"]


def test_each_shape_finds_its_route():
    assert found("/api/v1/posts/1") == "get_post"
    assert found("/api/v1/posts/1/comments") == "comments"
    assert found("/api/v1/posts/1/comments/2") == "comments"
    assert found("/api/v1/a.b/x") == "dotted"


def test_everything_else_finds_nothing():
    for path in ("/", "/api/v1", "/api/v1/axb/x", "/api/v1/posts/", "/api/v1/posts/1/", "/posts/1"):
        assert found(path) is None
    assert found("/api/v1/posts/1", "POST") is None


@given(st.text())
def test_no_path_raises(path):
    found(f"/api/v1/{path}")
