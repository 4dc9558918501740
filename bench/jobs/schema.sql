-- What the benchmark's job does, in addition to the application's schema.
insert into outbox.topics (topic, fields) values ('bench_mail_asked', '{user_id}');
