from kit.cached_reads import CachedReads


class TestCachedReads(CachedReads):
    slice = "get_me"
