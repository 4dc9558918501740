-- Nothing reads it since the three indexes of claim_events().
-- squawk-ignore require-concurrent-index-deletion -- the lock is held for milliseconds
drop index outbox.events_pending;

-- By default a table of millions is vacuumed and analysed once a fifth of it has changed, which is weeks
-- of a queue whose entries die within seconds.
alter table outbox.events set (
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01);
alter table jobs.runs set (
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01);
