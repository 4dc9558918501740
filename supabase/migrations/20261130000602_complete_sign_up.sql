-- The account of an address that waits for its confirmation; null where there is none.
create function identity.unconfirmed(email text) returns uuid
  language sql stable set search_path = '' as $$
  select u.id from auth.users u where u.email = lower(unconfirmed.email)
    and not u.is_sso_user and u.email_confirmed_at is null
$$;
revoke all on function identity.unconfirmed(text) from public;

-- The second step of a sign-up whose first one made the account: somebody logged in with its password,
-- and nobody has been asked to confirm its address yet.
create function public.complete_sign_up(
  email text, address text default null, request_id text default null
) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  account uuid := identity.unconfirmed(email);
begin
  if account is null then
    return;
  end if;
  perform identity.lock_account(account);
  if not exists (select from identity.claims c where c.user_id = account) then
    perform public.request_confirmation(complete_sign_up.email, true, complete_sign_up.address,
      complete_sign_up.request_id);
  end if;
end $$;
revoke all on function public.complete_sign_up(text, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.complete_sign_up(text, text, text) to service_role;
