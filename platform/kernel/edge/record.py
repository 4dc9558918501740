"""What is written down of each request: counters and the access line."""

from kernel.access_log import AccessLog
from kernel.call import Call
from kernel.metrics import Metrics


class Record:
    """Counts a request and writes its access line, once its answer is out."""

    def __init__(self, metrics: Metrics, access_log: AccessLog) -> None:
        self._metrics, self._access_log = metrics, access_log

    def write(self, call: Call, method: str, path: str, status: int, seconds: float) -> None:
        """Write a request down; `status` is 0 where no answer began."""
        self._metrics.request(call.feature, method, status, seconds)
        if call.cache is not None:
            self._metrics.cache_read(call.feature, call.cache)
        if call.limits is not None:
            policy = call.limits.scarcest.policy.name
            self._metrics.limited(policy, admitted=call.limits.admitted)
        self._access_log.write(
            feature=call.feature,
            method=method,
            path=path,
            status=status,
            seconds=seconds,
            cache=call.cache,
            request_id=call.request_id,
        )
