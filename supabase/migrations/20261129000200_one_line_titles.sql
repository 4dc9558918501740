-- Titles are one line, as names are: they stand in subjects of mails. The API refused line breaks from
-- the first day on; now the database does, whoever writes.
alter table public.posts disable trigger user;
update public.posts
set title = regexp_replace(title, '[\u0001-\u001f\u007f-\u009f\u2028\u2029]', ' ', 'g')
where title ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]';
alter table public.posts enable trigger user;

alter table public.posts add constraint posts_title_one_line
  check (title !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]');
