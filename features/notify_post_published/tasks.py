from uuid import UUID

from features.shared.posts import Post, PostPublished
from kernel.jobs import job
from kernel.mail import Mailer
from kernel.supabase import AsService


@job(on=PostPublished, once_per="post_id")
async def notify_author(post_id: UUID, author_id: UUID, db: AsService, mailer: Mailer) -> None:
    """Send the mail, once for each post; none for a deleted post, or an author without an address.

    An address that no mail has proven may be a bystander's: it gets no words of the author.
    """
    author = await db.user(author_id)
    found = await db.table("posts").select("*").eq("id", str(post_id)).execute()
    if author is None or author.email is None or not found.data:
        return
    post = Post.model_validate(found.data[0])
    await mailer.send(
        "published",
        to=author.email,
        language=author.language,
        notification=True,
        display_name=author.display_name,
        title=post.title if author.proven else None,
        post_id=post.id,
    )
