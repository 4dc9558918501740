"""Records each request: metrics and the request log."""

import asyncio

from kernel.observe.metrics import CacheResult, Metrics
from kernel.observe.request_log import RequestLog
from kernel.web.call import Call

_Done = tuple[Call, str, str, int, float]  # call, method, path, status and seconds


class RequestRecorder:
    """Counts requests and writes their log lines, after the responses are sent.

    All requests of one event loop iteration are recorded together, which costs each of them less.
    """

    def __init__(self, metrics: Metrics, access_log: RequestLog) -> None:
        self._metrics, self._access_log = metrics, access_log
        self._done: list[_Done] = []

    def write(self, call: Call, method: str, path: str, status: int, seconds: float) -> None:
        """Record a request at the end of this iteration; `status` is 0 if no response started."""
        self._done.append((call, method, path, status, seconds))
        if len(self._done) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Record the waiting requests now; used at shutdown."""
        done, self._done = self._done, []
        for call, method, path, status, seconds in done:
            self._access_log.write(
                call.feature,
                method,
                path,
                status,
                seconds=seconds,
                cache=call.cache,
                request_id=call.request_id,
                sent_id=call.sent_id,
            )
        self._access_log.flush()
        self._count(done)

    def _count(self, done: list[_Done]) -> None:
        requests: dict[tuple[str | None, str, int], list[float]] = {}
        reads: dict[tuple[str | None, CacheResult], int] = {}
        limited: dict[tuple[str, bool], int] = {}
        for call, method, _, status, seconds in done:
            request = (call.feature, method, status)
            if request in requests:
                requests[request].append(seconds)
            else:
                requests[request] = [seconds]
            if call.cache is not None:
                read = (call.feature, call.cache)
                reads[read] = reads.get(read, 0) + 1
            if call.limits is not None:
                decision = (call.limits.scarcest.policy.name, call.limits.admitted)
                limited[decision] = limited.get(decision, 0) + 1
        for request, times in requests.items():
            self._metrics.requests(*request, times)
        for (feature, result), number in reads.items():
            self._metrics.cache_reads(feature, result, number)
        for (policy, admitted), number in limited.items():
            self._metrics.limited(policy, number, admitted=admitted)
