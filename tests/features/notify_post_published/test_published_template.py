from kit.mails import GreetingMail


class TestTheNotice(GreetingMail):
    slice, template = "notify_post_published", "published"
    values = GreetingMail.values | {"title": "A & B", "post_id": "5f0c"}

    def test_the_post_is_named_and_linked(self):
        mail = self.rendered(None)
        assert mail.subject == "Your post is published: A & B"
        assert "\nhttps://app.example/posts/5f0c\n" in mail.text
        assert mail.html is not None
        assert '<a href="https://app.example/posts/5f0c">' in mail.html
        assert "“A &amp; B”" in mail.html
