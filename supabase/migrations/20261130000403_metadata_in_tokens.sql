-- Tokens hold metadata as JSON that escapes: "<" has six bytes there, and so have letters beyond ASCII in
-- some implementations, emoji twelve. So 4,096 bytes of text could make a token of 32 KB. The bound counts
-- what a character may become.
create or replace function identity.bound_user_metadata() returns trigger
  language plpgsql set search_path = '' as $$
begin
  if octet_length(regexp_replace(regexp_replace(new.raw_user_meta_data::text,
    '[\U00010000-\U0010ffff]', '\\ud83d\\ude00', 'g'), '[^ -~]|[<>&]', '\\u0000', 'g')) > 4096
  then
    raise exception 'user_metadata may have 4096 bytes as escaped JSON: it is in every access token'
      using errcode = 'check_violation';
  end if;
  return new;
end $$;
