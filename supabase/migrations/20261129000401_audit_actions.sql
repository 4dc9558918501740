-- Slices name actions of their own for the audit log: a name like `report_exported`.
alter table audit.entries drop constraint entries_action_check;
alter table audit.entries add constraint entries_action_check
  check (action ~ '^[a-z][a-z0-9_]{1,62}$');
