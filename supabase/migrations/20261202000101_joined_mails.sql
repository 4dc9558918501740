-- Mails that a worker sends at the same time, in one call: [{"mail", "recipient", "kind", "security"}].
-- Returns what `admit_mail` says, by mail. It locks inboxes: each batch takes them in one order, so that no
-- two batches wait for each other.
create function public.admit_mails(mails jsonb) returns jsonb
  language plpgsql security definer set search_path = '' as $$
declare
  one record;
  admitted jsonb := '{}';
begin
  for one in
    select * from pg_catalog.jsonb_to_recordset(mails) as m (
      mail uuid, recipient text, kind text, security boolean)
    order by pg_catalog.hashtextextended(
      'mails/' || identity.address_hash(m.recipient, mailbox => true), 0)
  loop
    admitted := admitted || pg_catalog.jsonb_build_object(
      one.mail::text, public.admit_mail(one.mail, one.recipient, one.kind, one.security));
  end loop;
  return admitted;
end $$;

revoke all on function public.admit_mails(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.admit_mails(jsonb) to service_role;
