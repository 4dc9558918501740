from pathlib import Path

from cli.tables import BEGIN, END, README, table, with_table
from kernel.discovery import discover


def test_the_readme_has_the_table_of_today():
    text = Path(README).read_text(encoding="utf-8")
    assert with_table(text, table(discover())) == text, "run: ./app features --write"


def test_the_table_stands_between_its_marks():
    text = f"before\n{BEGIN}\nold\n{END}\nafter"
    rows = [("slice", "call", "caller", "what it does"), ("a", "GET /a", "required", "Read a")]
    assert with_table(text, rows) == (
        f"before\n{BEGIN}\n| slice | call | caller | what it does |\n| --- | --- | --- | --- |\n"
        f"| a | GET /a | required | Read a |\n{END}\nafter"
    )


def test_each_call_is_a_row():
    rows = table(discover())
    assert ("health", "GET /api/v1/health/liveness", "ignored") in [row[:3] for row in rows]
