from features.shared.users import User, UserGone
from kernel.supabase import AsCaller


async def get_me(db: AsCaller) -> User:
    """Return the caller's own user.

    Raises UserGone if the user was deleted while the token is still valid.
    """
    found = await db.rpc("me")
    if not found:
        raise UserGone
    return User.model_validate(found[0])
