-- Only the function below writes here, and only the service role may call it.
create function public.receive_delivery(message_id text, content jsonb) returns void
  language sql security definer set search_path = '' as $$
  insert into public.deliveries (message_id, content)
  values (receive_delivery.message_id, receive_delivery.content)
  on conflict on constraint deliveries_message_id_key do nothing
$$;
revoke all on function public.receive_delivery(text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.receive_delivery(text, jsonb) to service_role;
