"""/docs in Chromium, if it is installed: with its own policy, and without any other server."""

import json

import httpx
import pytest

from kit.browser import CHROMIUM, opened
from kit.process import api, environment, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
BLOCK = "document.querySelector('.opblock-get [data-path=\"/api/v1/mine\"]').closest('.opblock')"
# The page shows "Execute" before it has read the operation, and refuses a click that comes before.
READ = "!!ui.specSelectors.specResolvedSubtree(['paths', '/api/v1/mine', 'get'])"
# React notices typed text, but not a value that a script assigns.
TYPED = """(value => {
  const input = document.querySelector('.auth-container input');
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, value);
  input.dispatchEvent(new Event('input', {bubbles: true}));
})"""


@pytest.mark.parametrize("pasted", ["{}", " Bearer {}\n"])
async def test_a_pasted_token_authorizes_and_no_other_server_is_asked(
    stack, author, unused_tcp_port, tmp_path, pasted
):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    env = environment(stack, LOG_LEVEL="ERROR")
    async with api(env, unused_tcp_port), httpx.AsyncClient() as client:
        await until(client, f"{url}/api/v1/alive", 200)
        async with opened(f"{url}/docs", tmp_path) as page:
            await page.until("document.querySelectorAll('.opblock').length > 10")
            await page.run("document.querySelector('.btn.authorize').click()")
            await page.until("!!document.querySelector('.auth-container input')")
            await page.run(f"{TYPED}({json.dumps(pasted.format(author.token))})")
            await page.run("document.querySelector('.auth-container .btn.authorize').click()")
            await page.until("!!document.querySelector('.auth-container h6')")
            await page.run("document.querySelector('.btn-done').click()")
            await page.run(f"{BLOCK}.querySelector('.opblock-summary-control').click()")
            await page.until(f"!!{BLOCK}.querySelector('.execute')")
            await page.until(READ)
            await page.run(f"{BLOCK}.querySelector('.execute').click()")
            answer = await page.until(
                f"{BLOCK}.querySelector('.live-responses-table .highlight-code')?.innerText"
            )
        assert json.loads(answer[answer.index("{") :])["data"]["id"] == str(author.id)
        assert page.faults == []
        asked = [one for one in page.requested if not one.startswith("data:")]
        assert f"{url}/openapi.json" in asked
        assert [one for one in asked if not one.startswith(f"{url}/")] == []
