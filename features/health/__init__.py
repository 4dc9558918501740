"""Report to load balancers and people whether this process and its services work."""

from kernel import Feature

from . import route

# Unlimited: a load balancer asks often, and a refusal would take the process out of service.
feature = Feature(router=route.router, caller="ignored", limited=False)
