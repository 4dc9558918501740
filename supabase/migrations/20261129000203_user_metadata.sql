-- What users write into their own metadata is in their access tokens. A token that is longer than a
-- server takes for a header (32 KB here, 8 KB at many proxies) would lock its user out, logout included.
create function identity.bound_user_metadata() returns trigger
  language plpgsql set search_path = '' as $$
begin
  if octet_length(new.raw_user_meta_data::text) > 4096 then
    raise exception 'user_metadata may have 4096 bytes: it is in every access token'
      using errcode = 'check_violation';
  end if;
  return new;
end $$;
revoke all on function identity.bound_user_metadata() from public;

create trigger bound_user_metadata_of_new before insert on auth.users
  for each row execute function identity.bound_user_metadata();
create trigger bound_user_metadata before update of raw_user_meta_data on auth.users
  for each row when (new.raw_user_meta_data is distinct from old.raw_user_meta_data)
  execute function identity.bound_user_metadata();
