from kit.mails import GreetingMail


class TestTheWelcome(GreetingMail):
    slice, template = "signup", "welcome"
