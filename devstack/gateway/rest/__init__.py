"""PostgREST's part of the gateway: tables and functions of the schema public over HTTP."""

from devstack.gateway.rest.app import RestApi

__all__ = ["RestApi"]
