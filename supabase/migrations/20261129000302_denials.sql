-- Notes that a user was refused (403): one row of the audit log for each user, slice and minute, however
-- often and over however many processes it happens.
create function public.record_denial(
  user_id uuid, slice text, address text default null, request_id text default null
) returns void
  language plpgsql security definer set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('denials/' || record_denial.user_id || slice, 0));
  if not exists (
    select from audit.entries e where e.user_id = record_denial.user_id and e.action = 'forbidden'
      and e.at > now() - interval '1 minute' and e.details ->> 'slice' = slice
  ) then
    perform public.record_audit(
      'forbidden', user_id => record_denial.user_id, actor_id => record_denial.user_id,
      address => record_denial.address, request_id => record_denial.request_id,
      details => jsonb_build_object('slice', slice));
  end if;
end $$;
revoke all on function public.record_denial(uuid, text, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.record_denial(uuid, text, text, text) to service_role;
