"""Uses the generated Python client: sign up, log in, write, read. Arguments: folder, URL."""

import sys
import uuid

sys.path.insert(0, sys.argv[1])

from generated import AuthenticatedClient, Client
from generated.api.auth import login, signup
from generated.api.posts import create_post, get_post, list_posts
from generated.models import Credentials, NewPost, NewUser

email, password = f"{uuid.uuid4().hex}@example.com", "correct horse 9"
anyone = Client(base_url=sys.argv[2])
created = signup.sync_detailed(client=anyone, body=NewUser(email=email, password=password))
assert created.status_code == 201, created.content
session = login.sync(client=anyone, body=Credentials(email=email, password=password)).data
caller = AuthenticatedClient(base_url=sys.argv[2], token=session.access_token)
key = str(uuid.uuid4())
wanted = NewPost(title="A title", content="Some content.", published=True)
first = create_post.sync_detailed(client=caller, body=wanted, idempotency_key=key)
again = create_post.sync_detailed(client=caller, body=wanted, idempotency_key=key)
assert again.headers["idempotency-replayed"] == "true"
assert first.parsed.data.id == again.parsed.data.id
read = get_post.sync(post_id=first.parsed.data.id, client=anyone).data
assert (read.title, read.content, read.author_id) == ("A title", "Some content.", session.user.id)
assert first.parsed.data.id in [one.id for one in list_posts.sync(client=anyone).data]
missing = get_post.sync_detailed(post_id=uuid.uuid4(), client=anyone)
assert missing.parsed.error.code == "POST_NOT_FOUND"
sys.stdout.write("done\n")
