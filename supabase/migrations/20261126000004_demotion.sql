-- Operators may take a role away again: one more thing that the audit log knows.
alter table audit.entries drop constraint entries_action_check;
alter table audit.entries add constraint entries_action_check check (action in (
  'login', 'login_failed', 'logout', 'password_changed', 'password_reset_requested',
  'password_reset', 'email_change_requested', 'email_confirmed', 'user_deleted', 'user_promoted',
  'user_demoted'
));
