-- A list shows the beginning of a long post, so the beginning is stored: to read a page, no content is
-- fetched that is not shown. Null where the content has at most 2,000 characters, and is shown itself.
-- This file only adds; the next one fills the column and reads it.
alter table public.posts add column excerpt text;

create function public.set_excerpt() returns trigger
  language plpgsql set search_path = '' as $$
begin
  new.excerpt := case when char_length(new.content) > 2000 then left(new.content, 2000) end;
  return new;
end $$;
revoke all on function public.set_excerpt() from public, anon, authenticated, service_role;
create trigger set_excerpt before insert or update of content, excerpt on public.posts
  for each row execute function public.set_excerpt();

-- A post is not newer because its excerpt was filled.
create or replace trigger touch_updated_at
  before update of title, content, published, author_id, created_at on public.posts
  for each row execute function public.touch_updated_at();
