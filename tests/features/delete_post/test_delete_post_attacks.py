from kit.attacks import spellings


async def test_a12_it_deletes_nobody_elses_post(stranger, post, draft, rows):
    before = await rows()
    for one, status in ((post, 403), (draft, 404)):
        for post_id in spellings(one.id):
            assert (await stranger.delete(f"/posts/{post_id}")).status_code == status
    assert await rows() == before


async def test_a12_past_the_api_the_own_posts_alone_are_deleted(attacker, post, draft, rows):
    before = await rows()
    assert (await attacker.delete(f"/rest/v1/posts?id=eq.{post.id}")).json() == []
    await attacker.delete("/rest/v1/posts")
    assert (await rows())[0] == before[0]
