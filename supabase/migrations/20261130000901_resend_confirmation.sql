-- Another mail with a link for an address that waits for its confirmation: the last one got lost. It is
-- no other sign-up, so it changes nothing about whose password counts. The job decides whether a mail
-- is sent, so the call takes the same time for every address.
create function public.resend_confirmation(
  email text, address text default null, request_id text default null
) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  account uuid := (
    select u.id from auth.users u where u.email = lower(resend_confirmation.email)
      and not u.is_sso_user and u.email_confirmed_at is null
  );
  request uuid;
begin
  if account is not null then
    insert into identity.claims (user_id, number) values (account, 1) on conflict do nothing;
  end if;
  insert into identity.mail_requests (purpose, email, address, request_id)
  values ('signup', lower(resend_confirmation.email), resend_confirmation.address,
    resend_confirmation.request_id)
  returning id into request;
  perform outbox.put('confirmation_requested',
    jsonb_build_array(jsonb_build_object('confirmation_id', request)));
end $$;
revoke all on function public.resend_confirmation(text, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.resend_confirmation(text, text, text) to service_role;
