-- Posts are counted from here on; the next files count those that are there already. Writers wait while
-- the triggers are made, which takes milliseconds.
select totals.keep('published_posts', 'public.posts', 'published');
select totals.keep('drafts', 'public.posts', 'not published', owner => 'author_id');
