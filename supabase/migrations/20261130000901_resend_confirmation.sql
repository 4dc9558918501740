-- Has the link mailed that confirms a new address; the job decides whether a mail is sent.
create function identity.request_link(email text, address text, request_id text) returns void
  language plpgsql set search_path = '' as $$
declare
  request uuid;
begin
  insert into identity.mail_requests (purpose, email, address, request_id)
  values ('signup', lower(request_link.email), request_link.address, request_link.request_id)
  returning id into request;
  perform outbox.put('confirmation_requested',
    jsonb_build_array(jsonb_build_object('confirmation_id', request)));
end $$;
revoke all on function identity.request_link(text, text, text) from public;

create or replace function public.request_confirmation(
  email text, created boolean, address text default null, request_id text default null
) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  account uuid := identity.unconfirmed(email);
  claimed integer;
begin
  if account is not null then
    insert into identity.claims as c (user_id, number)
    values (account, case when created then 1 else 2 end)
    on conflict (user_id) do update set number = c.number + 1 returning number into claimed;
    if claimed > 1 then
      update public.profiles p set display_name = null
      where p.id = account and p.display_name is not null;
    end if;
    perform identity.clear_auth_tokens(account);
  end if;
  perform identity.request_link(email, address, request_id);
end $$;

-- Another mail with a link for an address that waits for its confirmation: the last one got lost. It is
-- no other sign-up, so it changes nothing about whose password counts. The job decides whether a mail
-- is sent, so the call takes the same time for every address.
create function public.resend_confirmation(
  email text, address text default null, request_id text default null
) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  account uuid := identity.unconfirmed(email);
begin
  if account is not null then
    insert into identity.claims (user_id, number) values (account, 1) on conflict do nothing;
  end if;
  perform identity.request_link(email, address, request_id);
end $$;
revoke all on function public.resend_confirmation(text, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.resend_confirmation(text, text, text) to service_role;
