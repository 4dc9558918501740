-- The drafts of an author, in the order of lists. Where posts has millions of rows, make it by hand first:
--   create index concurrently if not exists posts_drafts_newest … (the rest as below)
-- squawk-ignore require-concurrent-index-creation -- as above
create index if not exists posts_drafts_newest
  on public.posts (author_id, created_at desc, id desc) include (published) where not published;
