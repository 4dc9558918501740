-- A slot that is older than the job's newest one is not put: after a change of the schedule, the new
-- schedule's latest slot may lie before slots that have run.
create or replace function public.put_slot(job text, slot timestamptz) returns boolean
  language plpgsql security definer set search_path = '' as $$
begin
  if exists (
    select from jobs.slots s where s.job = put_slot.job and s.slot > put_slot.slot
  ) then
    return false;
  end if;
  insert into jobs.slots values (put_slot.job, put_slot.slot) on conflict do nothing;
  if not found or (
    slot < now() - interval '1 minute'
    and not exists (
      select from jobs.slots s where s.job = put_slot.job and s.slot < put_slot.slot)
  ) then
    return false;
  end if;
  perform outbox.put('job_due', jsonb_build_array(jsonb_build_object('job', job, 'slot', slot)));
  return true;
end $$;
